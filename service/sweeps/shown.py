"""The Optuna study that results are taken from: it shows trials without having stored them, which takes time.

Knows no store. Not for asking: what a sampler learns from is `build_study`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from service.spec import SweepSpec
from service.sweeps.study import build_study, distributions_of, frozen
from service.sweeps.trial import Trial


def shown_study(spec: SweepSpec, trials: Sequence[Trial]) -> Study:
    """A study of these trials, under their own numbers even where some are left out."""
    study, distributions = build_study(spec, ()), distributions_of(spec)
    every = [frozen(spec, trial, distributions) for trial in sorted(trials, key=lambda trial: trial.number)]

    def get_trials(deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        return [trial for trial in every if states is None or trial.state in states]

    study.get_trials = get_trials  # type: ignore[method-assign]
    return study


@contextmanager
def quiet() -> Iterator[None]:
    """What Optuna and NumPy warn of is answered in words, or is of no account to who asks."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
