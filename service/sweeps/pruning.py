"""Which trials are stopped early: by the values that all trials have reported, and nothing else. Knows no Optuna.

Pure functions of values, so that what was stopped where can be found again. Optuna's median and percentile pruners
compare with trials that have completed, of which there are none while all are trained side by side: here all count that
have reported the epoch. Its successive halving is done here by the values themselves, at the epochs that are rungs.
"""

from __future__ import annotations

import binascii
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from service.spec import SweepSpec, search
from service.spec.sweep import Int, LogInt
from service.sweeps.space import values_of

NAME = "sweep"  # as the study's: Hyperband draws a trial's bracket from it

Values = Mapping[int, float | None]  # epoch, from 1 -> value; None: it was not finite


@dataclass
class Reported:
    """What the trials of a sweep have reported, by epoch and trial."""

    by_epoch: dict[int, dict[int, float | None]] = field(default_factory=lambda: defaultdict(dict))
    by_trial: dict[int, dict[int, float | None]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, number: int, epoch: int, value: float | None) -> None:
        """A trial has reported an epoch's value; the same again changes nothing."""
        finite = value if value is not None and math.isfinite(value) else None
        self.by_epoch[epoch][number] = finite
        self.by_trial[number][epoch] = finite


class Pruner:
    """Says whether a trial is to be stopped at an epoch."""

    def __init__(self, spec: SweepSpec) -> None:
        self._options = spec.pruning
        self._sign = 1.0 if spec.compared[0].direction == "minimize" else -1.0
        self._most_epochs = most_epochs(spec)

    def stops(self, number: int, epoch: int, reported: Reported) -> bool:
        """Whether the trial is to be stopped after this epoch, which it has reported as all before it.

        After its last epoch nothing is left to be stopped.
        """
        options = self._options
        match options:
            case search.MedianPruner():
                return self._by_share(50.0, options.startup_trials, options.warmup_epochs, number, epoch, reported)
            case search.PercentilePruner():
                share, startup, warmup = options.percentile, options.startup_trials, options.warmup_epochs
                return self._by_share(share, startup, warmup, number, epoch, reported)
            case search.ASHAPruner():
                rungs = (options.min_epochs, options.reduction_factor)
                return self._by_halving(*rungs, number, epoch, reported.by_epoch[epoch])
            case search.HyperbandPruner():
                return self._by_bracket(options, number, epoch, reported.by_epoch[epoch])
            case _:
                return False

    def _by_share(
        self, share: float, startup_trials: int, warmup_epochs: int, number: int, epoch: int, reported: Reported
    ) -> bool:
        others = [self._loss(value) for other, value in reported.by_epoch[epoch].items() if other != number]
        if len(others) < startup_trials or epoch <= warmup_epochs:
            return False
        best = min(self._loss(value) for reached, value in reported.by_trial[number].items() if reached <= epoch)
        if best == math.inf:
            return True
        finite = [loss for loss in others if loss < math.inf]
        return bool(finite) and best > float(np.percentile(finite, share))

    def _by_halving(self, first: int, factor: int, number: int, epoch: int, there: Mapping[int, float | None]) -> bool:
        """At a rung: whether the trial is not among the best of those that have reached it, one in `factor`."""
        if not _is_rung(epoch, first, factor):
            return False
        own = self._loss(there[number])
        if own == math.inf:
            return True
        losses = sorted(self._loss(value) for value in there.values())
        return own > losses[max(len(losses) // factor, 1) - 1]

    def _by_bracket(
        self, options: search.HyperbandPruner, number: int, epoch: int, there: Mapping[int, float | None]
    ) -> bool:
        first, factor = options.min_epochs, options.reduction_factor
        own = self._bracket(number, first, factor)
        rivals = {other: value for other, value in there.items() if self._bracket(other, first, factor) == own}
        return self._by_halving(first * factor**own, factor, number, epoch, rivals)

    def _bracket(self, number: int, first: int, factor: int) -> int:
        """A trial's bracket, drawn by its number, as Optuna does it."""
        count = 1
        while first * factor**count <= self._most_epochs:
            count += 1
        shares = [math.ceil(count * factor ** (count - 1 - each) / (count - each)) for each in range(count)]
        drawn = binascii.crc32(f"{NAME}_{number}".encode()) % sum(shares)
        return next(each for each in range(count) if drawn < sum(shares[: each + 1]))

    def _loss(self, value: float | None) -> float:
        return math.inf if value is None else self._sign * value


def most_epochs(spec: SweepSpec) -> int:
    """How many epochs any of its trials may have."""
    dimension = spec.space.get("epochs")
    if isinstance(dimension, Int | LogInt):
        most = dimension.int[1] if isinstance(dimension, Int) else dimension.log_int[1]
    elif dimension is not None:
        most = max(value for value in values_of(dimension) or () if isinstance(value, int))
    else:
        most = spec.base.epochs
    return most * (1 + (spec.base.data.folds or 0))


def _is_rung(epoch: int, first: int, factor: int) -> bool:
    while first < epoch:
        first *= factor
    return first == epoch
