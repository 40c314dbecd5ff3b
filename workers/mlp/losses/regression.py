"""The losses of real values, on any output activation that has nothing to learn.

    squared_error   ½ Σ (oₖ − yₖ)²                                          its least: the mean
    absolute        Σ |oₖ − yₖ|                                             the median
    huber           Σ ½ d² where |d| ≤ δ, else δ (|d| − ½ δ),  d = oₖ − yₖ  between the two
    quantile        Σ q d where d = yₖ − oₖ > 0, else (q − 1) d             the q-quantile

The targets are those that are learned: with `data.scale_target: standard` a δ counts in standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np

from workers.mlp.arrays import Array, Workspace
from workers.mlp.losses.base import LossOfOutput

REAL_VALUES: Final = {"regression": "identity"}


class SquaredError(LossOfOutput):
    """Half the squared distance; of classes too, where the outputs are compared with 0 and 1."""

    name = "squared_error"
    outputs: ClassVar = {"regression": "identity", "binary": "sigmoid", "multiclass": "softmax"}
    classes = True

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = ½ Σ (oₖ − yₖ)²."""
        np.subtract(o, y, out=work.first)
        np.multiply(work.first, work.first, out=work.first)
        work.first.sum(axis=-1, out=out)
        np.multiply(out, 0.5, out=out)

    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = oₖ − yₖ."""
        np.subtract(o, y, out=out)


class Absolute(LossOfOutput):
    """The distance; far outliers pull no more than near ones.

    Source: Koenker and Bassett, Regression quantiles (1978), with θ = ½.
    """

    name = "absolute"
    outputs: ClassVar = REAL_VALUES

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ |oₖ − yₖ|."""
        np.absolute(np.subtract(o, y, out=work.first), out=work.first)
        work.first.sum(axis=-1, out=out)

    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = −1, 0 or 1, the sign of oₖ − yₖ."""
        np.sign(np.subtract(o, y, out=out), out=out)


@dataclass(frozen=True)
class Huber(LossOfOutput):
    """Squared up to a distance of `delta`, straight beyond.

    Source: Huber, Robust estimation of a location parameter (1964).
    """

    name = "huber"
    outputs: ClassVar = REAL_VALUES

    bend: float = field(default=1.0, metadata={"option": "delta", "above": 0, "most": 1e6})

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ c (d − ½ c) with d = oₖ − yₖ, and c = d cut at ±δ."""
        d, c = work.first, work.second
        np.subtract(o, y, out=d)
        np.clip(d, -self.bend, self.bend, out=c)
        np.subtract(d, np.multiply(c, 0.5, out=work.third), out=d)
        np.multiply(d, c, out=d)
        d.sum(axis=-1, out=out)

    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = oₖ − yₖ, cut at ±δ."""
        np.clip(np.subtract(o, y, out=out), -self.bend, self.bend, out=out)


@dataclass(frozen=True)
class Quantile(LossOfOutput):
    """The pinball loss: too low costs q, too high 1 − q, so that a share q of the targets lies below the outputs.

    Source: Koenker and Bassett, Regression quantiles (1978), eq. 3.1.
    """

    name = "quantile"
    outputs: ClassVar = REAL_VALUES

    quantile: float = field(default=0.5, metadata={"above": 0, "below": 1})

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ max(q d, (q − 1) d) with d = yₖ − oₖ."""
        first, second = work.first, work.second
        np.subtract(y, o, out=first)
        np.multiply(first, self.quantile - 1, out=second)
        np.multiply(first, self.quantile, out=first)
        np.maximum(first, second, out=first)
        first.sum(axis=-1, out=out)

    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = −q below the target, 1 − q above it, 0 at it."""
        np.multiply(np.less(o, y, out=work.first), self.quantile, out=work.first)
        np.multiply(np.greater(o, y, out=out), 1 - self.quantile, out=out)
        np.subtract(out, work.first, out=out)
