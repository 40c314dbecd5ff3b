"""The losses of margins: classes are told apart by scores, and a score beyond its margin costs nothing.

    hinge            Σ max(0, 1 − sₖ oₖ)     sₖ = 2 yₖ − 1: −1 or 1
    squared_hinge    Σ max(0, 1 − sₖ oₖ)²

Several classes are each held against all others. Scores are no probabilities; a single one decides at 0.

Source: Cortes and Vapnik, Support-vector networks (1995); Rosasco et al., Are loss functions all the same? (2004).
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from workers.mlp.activations import Activation
from workers.mlp.arrays import Array, Workspace
from workers.mlp.losses.base import LossOfOutput

SCORES: Final = {"binary": "identity", "multiclass": "identity"}


class LossOfMargin(LossOfOutput):
    """A loss of how far each score is from its margin."""

    classes = True
    threshold = 0.0
    probabilities = False

    @classmethod
    def takes(cls, activation: Activation) -> bool:
        """Whether the outputs reach both margins, −1 and 1, or come as near as they please."""
        image = activation.image
        return image.lowest <= -1 and image.highest >= 1 and not activation.learned

    def missing(self, o: Array, y: Array, out: Array, sign: Array) -> None:
        """Write max(0, 1 − s o) into `out` and s = 2 y − 1 into `sign`."""
        np.subtract(np.multiply(y, 2, out=sign), 1, out=sign)
        np.subtract(1, np.multiply(sign, o, out=out), out=out)
        np.maximum(out, 0, out=out)


class Hinge(LossOfMargin):
    """The support vector machine's loss."""

    name = "hinge"
    outputs: ClassVar = SCORES

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ max(0, 1 − sₖ oₖ)."""
        self.missing(o, y, work.first, work.second)
        work.first.sum(axis=-1, out=out)

    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = −sₖ before the margin, else 0."""
        self.missing(o, y, out, work.first)
        np.multiply(np.greater(out, 0, out=out), work.first, out=out)
        np.negative(out, out=out)


class SquaredHinge(LossOfMargin):
    """The hinge loss squared: without a corner."""

    name = "squared_hinge"
    outputs: ClassVar = SCORES

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ max(0, 1 − sₖ oₖ)²."""
        self.missing(o, y, work.first, work.second)
        np.multiply(work.first, work.first, out=work.first)
        work.first.sum(axis=-1, out=out)

    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = −2 sₖ max(0, 1 − sₖ oₖ)."""
        self.missing(o, y, out, work.first)
        np.multiply(out, work.first, out=out)
        np.multiply(out, -2, out=out)
