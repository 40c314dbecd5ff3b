"""The learning rate from step to step: functions of the place alone, so that nothing is carried and any step can be
done again. Reduce on plateau, which goes by a metric, keeps its few numbers in the training's state.

t counts epochs, or steps where `unit` is "step", from 0; T is how many the whole job has. Computed in Python's float64.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Unit = Literal["epoch", "step"]
COUNT = {"least": 1, "most": 1e9}
FACTOR = {"above": 0, "most": 1}


@dataclass(frozen=True)
class Schedule(ABC):
    """A rate as a function of the place: `t` of `total`, both in its unit."""

    name: ClassVar[str]

    unit: Unit = field(default="epoch", kw_only=True)

    @abstractmethod
    def rate(self, base: float, t: int, total: int) -> float:
        """The rate at t, from the rate that the job asks for."""


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout."""

    name = "constant"

    def rate(self, base: float, t: int, total: int) -> float:
        """base."""
        return base


@dataclass(frozen=True)
class StepDecay(Schedule):
    """A rate that falls by a factor every so often.

    Source: PyTorch's StepLR.
    """

    name = "step"

    every: int = field(default=10, metadata=COUNT)
    factor: float = field(default=0.1, metadata=FACTOR)

    def rate(self, base: float, t: int, total: int) -> float:
        """base · factor^⌊t / every⌋."""
        return base * self.factor ** (t // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """A rate that falls by the same factor each time.

    Source: PyTorch's ExponentialLR.
    """

    name = "exponential"

    factor: float = field(default=0.95, metadata=FACTOR)

    def rate(self, base: float, t: int, total: int) -> float:
        """base · factorᵗ."""
        return float(base * self.factor**t)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """A rate that falls with a power of the time.

    Source: scikit-learn's learning_rate="invscaling", where t counts samples; here, as there, it begins at 1.
    """

    name = "inverse_scaling"

    power: float = field(default=0.5, metadata={"above": 0, "most": 10})

    def rate(self, base: float, t: int, total: int) -> float:
        """base / (t + 1)^power."""
        return float(base / (t + 1) ** self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """A rate that rises evenly for `warmup`, then falls to `least` of itself by half a cosine.

    Source: Loshchilov and Hutter, SGDR (2017), without restarts: PyTorch's CosineAnnealingLR with T_max = T − warmup.
    """

    name = "cosine"

    warmup: int = field(default=0, metadata={"least": 0, "most": 1e9})
    least: float = field(default=0.0, metadata={"least": 0, "most": 1})

    def rate(self, base: float, t: int, total: int) -> float:
        """base · (t + 1) / (warmup + 1) at first; then base · (least + (1 − least) ½ (1 + cos π progress))."""
        if t < self.warmup:
            return base * (t + 1) / (self.warmup + 1)
        progress = min((t - self.warmup) / max(total - self.warmup, 1), 1.0)
        return base * (self.least + (1 - self.least) * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """A rate that rises from base / start to base, then falls to base / (start · end), each by half a cosine.

    Where there is too little time to rise, it begins at its top.
    Source: Smith and Topin, Super-convergence (2019): PyTorch's OneCycleLR, with base for its max_lr.
    """

    name = "one_cycle"

    rise: float = field(default=0.3, metadata={"above": 0, "below": 1})
    start: float = field(default=25.0, metadata={"least": 1, "most": 1e9})
    end: float = field(default=1e4, metadata={"least": 1, "most": 1e12})

    unit: Unit = field(default="step", kw_only=True)

    def rate(self, base: float, t: int, total: int) -> float:
        """The top is at t = rise · T − 1, the end at t = T − 1."""
        low, lowest = base / self.start, base / self.start / self.end
        top, last = max(self.rise * total - 1, 0), total - 1
        if t <= top:
            return between(low, base, t / top if top else 1.0)
        return between(base, lowest, (t - top) / (last - top))


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """A rate that falls by a factor when a metric has not improved for more than `patience` epochs.

    `value` and `waited`, the best so far and the epochs since, are the training's. An epoch improves where the metric
    is better than the best by more than the share `threshold` of its size; after a reduction, `cooldown` epochs are not
    counted.
    Source: PyTorch's ReduceLROnPlateau, with threshold_mode rel; there, what is below 0 improves by staying the same.
    """

    name = "reduce_on_plateau"

    metric: str = "auto"
    factor: float = field(default=0.1, metadata=FACTOR)
    patience: int = field(default=10, metadata={"least": 0, "most": 1e9})
    threshold: float = field(default=1e-4, metadata={"least": 0, "below": 1})
    cooldown: int = field(default=0, metadata={"least": 0, "most": 1e9})
    least: float = field(default=0.0, metadata={"least": 0, "most": 1e9})

    def rate(self, base: float, t: int, total: int) -> float:
        """base; `Plateau` has lowered it."""
        return base


@dataclass
class Plateau:
    """What reducing on a plateau carries from epoch to epoch: plain numbers, part of the training's state."""

    reductions: int = 0
    best: float | None = None
    waited: int = 0
    cooling: int = 0

    def rate(self, schedule: ReduceOnPlateau, base: float) -> float:
        """The rate after the reductions so far: base · factor^reductions, but `least` at least, if base is above it."""
        return max(base * schedule.factor**self.reductions, min(base, schedule.least))

    def judge(self, schedule: ReduceOnPlateau, value: float | None, *, higher_is_better: bool) -> None:
        """Take notice of an epoch's metric; an undefined one does not improve."""
        if value is not None and self._improves(schedule, value, higher_is_better):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited > schedule.patience:
            self.reductions, self.waited, self.cooling = self.reductions + 1, 0, schedule.cooldown

    def _improves(self, schedule: ReduceOnPlateau, value: float, higher_is_better: bool) -> bool:
        if self.best is None:
            return True
        margin = schedule.threshold * abs(self.best)
        return value > self.best + margin if higher_is_better else value < self.best - margin


def between(start: float, end: float, progress: float) -> float:
    """From start to end by half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))


SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (Constant, StepDecay, Exponential, InverseScaling, Cosine, OneCycle, ReduceOnPlateau)
}
