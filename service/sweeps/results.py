"""What a sweep has found: its best trial and that one's spec, and which models are worth keeping.

Everything here is a function of the sweep's spec and its trials. Knows no store and no Optuna.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from service.errors import FieldError, InvalidRequest, NoBestTrial
from service.spec import SweepSpec
from service.sweeps.ranking import best_trials, compared, from_the_best
from service.sweeps.space import job_document
from service.sweeps.trial import Trial, TrialStatus


def best_trial(spec: SweepSpec, trials: Sequence[Trial], number: int | None = None) -> Trial:
    """The best trial, the first of a front; or the one of them that has this number.

    Raises: NoBestTrial; InvalidRequest naming `trial`.
    """
    best = best_trials(spec, trials)
    if not best:
        raise NoBestTrial(nothing_compared(spec, trials))
    if number is None:
        return best[0]
    numbers = [trial.number for trial in best]
    if number not in numbers:
        error = FieldError("/trial", number, "it is not among the best", numbers[:100])
        raise InvalidRequest(f"trial {number} is not among the best; allowed are {numbers[:100]}", errors=[error])
    return best[numbers.index(number)]


def best_spec(spec: SweepSpec, trials: Sequence[Trial], number: int | None = None) -> dict[str, Any]:
    """The best trial's job, as it can be submitted: the base with the trial's values in their places.

    Raises: as `best_trial`.
    """
    return job_document(spec, best_trial(spec, trials, number).params)


def models_to_drop(spec: SweepSpec, trials: Sequence[Trial]) -> list[str]:
    """The jobs whose models need not be kept: those of the trials that are not among the best `keep_models`.

    Of several objectives the whole front is kept, so that each of the best has its model; 0 keeps none. What is to go
    now never comes back among the best, whatever else ends.
    """
    keep = spec.keep_models
    if keep and len(spec.compared) > 1:
        keep = max(keep, len(best_trials(spec, trials)))
    kept = {trial.number for trial in islice(from_the_best(spec, trials), keep)}
    ended = sorted(trials, key=lambda trial: trial.number)
    return [job for trial in ended if trial.status.ended and trial.number not in kept for job in trial.job_ids]


def nothing_compared(spec: SweepSpec, trials: Sequence[Trial]) -> str:
    """Why no trial is the best, in a sentence."""
    there = compared(spec, trials)
    if there:
        return f"none of the {len(there)} trials with a value keeps all constraints"
    succeeded = sum(trial.status is TrialStatus.SUCCEEDED for trial in trials)
    names = ", ".join(objective.metric for objective in spec.compared)
    if succeeded:
        return f"none of the {succeeded} trials that have succeeded has a finite value of {names}"
    return f"none of the {len(trials)} trials has succeeded"
