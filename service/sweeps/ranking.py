"""Which trials are better than which: by their values, where these are finite, those that keep all constraints first.

The order of trials is one for all that is made of it: the best, the models that are kept, the results that are drawn.
Knows no store and no Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from service.spec import SweepSpec
from service.sweeps.trial import Trial, TrialStatus


def is_compared(spec: SweepSpec, trial: Trial) -> bool:
    """Whether it has succeeded with a value for each objective, each of them finite."""
    values = trial.values
    return (
        trial.status is TrialStatus.SUCCEEDED
        and values is not None
        and len(values) == len(spec.compared)
        and all(map(math.isfinite, values))
    )


def compared(spec: SweepSpec, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that can be compared, in the order of their numbers."""
    return sorted((trial for trial in trials if is_compared(spec, trial)), key=lambda trial: trial.number)


def best_trials(spec: SweepSpec, trials: Sequence[Trial]) -> list[Trial]:
    """The best trial, or of several objectives those that no other is better than; none that breaks a constraint.

    Of equal ones of one objective the first is the best; a front is in the order of the trials' numbers.
    """
    feasible = [trial for trial in compared(spec, trials) if trial.feasible]
    if not feasible:
        return []
    front = next(fronts(spec, feasible))
    return front if len(spec.compared) > 1 else front[:1]


def from_the_best(spec: SweepSpec, trials: Sequence[Trial]) -> Iterator[Trial]:
    """All trials that can be compared, the best first; those that break constraints last, by how little they do."""
    there = compared(spec, trials)
    for front in fronts(spec, [trial for trial in there if trial.feasible]):
        yield from front
    yield from sorted((trial for trial in there if not trial.feasible), key=excess)


def excess(trial: Trial) -> float:
    """By how much it breaks its constraints, all together."""
    return sum(max(0.0, each) for each in trial.constraints)


def fronts(spec: SweepSpec, trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """The trials that no other is better than, then those of the rest, and so on; each in the order of the numbers.

    One is better than another that is worse in an objective and better in none.
    """
    losses = losses_of(spec, trials)
    order = np.lexsort(losses.T[::-1])  # by the first objective, then the others; of equal ones by their numbers
    while len(order):
        ordered = losses[order]
        inside = ordered[:, 0] == ordered[0, 0] if losses.shape[1] == 1 else _undominated(ordered)
        yield sorted((trials[place] for place in order[inside]), key=lambda trial: trial.number)
        order = order[~inside]


def losses_of(spec: SweepSpec, trials: Sequence[Trial]) -> NDArray[np.float64]:
    """The values, less being better. Shapes: (trials, objectives)."""
    signs = [-1.0 if objective.direction == "maximize" else 1.0 for objective in spec.compared]
    return np.array([trial.values for trial in trials], np.float64).reshape(-1, len(signs)) * signs


def _undominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of rows in order: whether no other is at most as large everywhere and less somewhere."""
    inside = np.zeros(len(losses), np.bool_)
    front = losses[:0]
    for place, row in enumerate(losses):
        no_worse = (front <= row).all(axis=1)
        if not (no_worse & (front < row).any(axis=1)).any():  # only one before it can be better
            inside[place] = True
            front = losses[inside]
        # One that is not on the front is no better than those that are better than it: it need not be asked.
    return inside
