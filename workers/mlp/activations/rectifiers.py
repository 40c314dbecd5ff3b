"""The rectifiers: z itself above 0, and less than that below. Each f′ is that from below at the corner, as is usual."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from workers.mlp.activations.base import Activation, Elementwise
from workers.mlp.activations.functions import expm1
from workers.mlp.arrays import Array, Arrays, Workspace
from workers.mlp.intervals import NOT_NEGATIVE, REALS, Interval


class Relu(Elementwise):
    """The rectifier; outputs of 0 and more.

    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines (2010).
    """

    name = "relu"
    image = NOT_NEGATIVE

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = max(0, z)."""
        np.maximum(z, 0, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = 1 for z > 0, else 0."""
        np.greater(a, 0, out=out)


@dataclass(frozen=True)
class LeakyRelu(Elementwise):
    """A rectifier with a small slope below 0, so that no unit dies.

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models (2013).
    """

    name = "leaky_relu"
    image = REALS

    slope: float = field(default=0.01, metadata={"above": 0, "most": 1})

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = z for z > 0, else slope · z; the larger of the two, since slope ≤ 1."""
        np.multiply(z, self.slope, out=work.first)
        np.maximum(z, work.first, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = 1 for z > 0, else slope."""
        np.greater(a, 0, out=out)
        np.maximum(out, self.slope, out=out)


@dataclass(frozen=True)
class Prelu(Activation):
    """A rectifier whose slope below 0 is learned, by each unit its own; the field is what they begin with.

    As an output it is refused: what is learned there beside W and b would only scale the outputs below 0.
    Source: He et al., Delving deep into rectifiers (2015), eq. 1 and 3.
    """

    name = "prelu"
    keeps_z = True  # a learned slope may be negative: a alone does not say on which side z was
    learned = ("slope",)
    image = REALS

    slope: float = field(default=0.25, metadata={"least": -1, "most": 1})

    @property
    def starts(self) -> Mapping[str, float]:
        """What each unit's slope begins with."""
        return {"slope": self.slope}

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = z for z > 0, else slope · z, with the slope of the beginning."""
        self._apply(z, self.slope, out, work)

    def backward(self, z: Array, a: Array, delta: Array, work: Workspace) -> None:
        """∂E/∂z, with the slope of the beginning."""
        self._backward(z, self.slope, delta, work)

    def forward(self, z: Array, out: Array, work: Workspace, learned: Arrays) -> None:
        """f(z) = z for z > 0, else slopeₖ zₖ."""
        self._apply(z, learned["slope"][..., np.newaxis, :], out, work)

    def back(self, z: Array, a: Array, delta: Array, work: Workspace, learned: Arrays, gradient: Arrays) -> None:
        """∂E/∂slopeₖ = Σ over the samples of ∂E/∂aₖ min(zₖ, 0), then ∂E/∂z."""
        np.minimum(z, 0, out=work.first)
        np.multiply(delta, work.first, out=work.first)
        work.first.sum(axis=-2, out=gradient["slope"])
        self._backward(z, learned["slope"][..., np.newaxis, :], delta, work)

    def _apply(self, z: Array, slope: Array | float, out: Array, work: Workspace) -> None:
        np.multiply(np.minimum(z, 0, out=work.first), slope, out=work.first)
        np.maximum(z, 0, out=out)
        np.add(out, work.first, out=out)

    def _backward(self, z: Array, slope: Array | float, delta: Array, work: Workspace) -> None:
        np.multiply(np.less_equal(z, 0, out=work.first), slope, out=work.first)
        np.greater(z, 0, out=work.second)
        np.add(work.first, work.second, out=work.first)
        np.multiply(delta, work.first, out=delta)


class ExponentialLinear(Elementwise):
    """f(z) = above · z for z > 0, else depth · (eᶻ − 1): smooth down to −depth."""

    @property
    @abstractmethod
    def above(self) -> float:
        """The slope above 0."""

    @property
    @abstractmethod
    def depth(self) -> float:
        """How far below 0 the outputs go."""

    @property
    def image(self) -> Interval:
        """(−depth, ∞)."""
        return Interval(lowest=-self.depth)

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """Both halves, added up: each is 0 where the other is not."""
        first = work.first
        expm1(np.minimum(z, 0, out=first), first, work.second)
        np.multiply(first, self.depth, out=first)
        np.maximum(z, 0, out=out)
        np.multiply(out, self.above, out=out)
        np.add(out, first, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = above for z > 0, else depth · eᶻ = a + depth."""
        np.greater(a, 0, out=out)
        np.multiply(out, self.above - self.depth, out=out)
        np.add(out, np.minimum(a, 0, out=work.second), out=out)
        np.add(out, self.depth, out=out)


@dataclass(frozen=True)
class Elu(ExponentialLinear):
    """The exponential linear unit; its outputs have a mean near 0.

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by ELUs (2016), eq. 15.
    """

    name = "elu"
    above = 1.0

    alpha: float = field(default=1.0, metadata={"above": 0, "most": 100})

    @property
    def depth(self) -> float:
        """The field α."""
        return self.alpha


class Selu(ExponentialLinear):
    """The ELU whose constants bring a layer's outputs to mean 0 and variance 1, if W begins by LeCun's rule.

    Source: Klambauer et al., Self-normalizing neural networks (2017), eq. 2 and 14.
    """

    name = "selu"
    initializer = "lecun_normal"
    above = 1.0507009873554804934193349852946
    depth = 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


class HardSigmoid(Elementwise):
    """Three straight pieces in the place of the sigmoid; outputs from 0 to 1, both reached.

    Source: Howard et al., Searching for MobileNetV3 (2019), section 5.2.
    """

    name = "hard_sigmoid"
    image = Interval(0, 1, lowest_in=True, highest_in=True)

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = min(max(z / 6 + ½, 0), 1)."""
        np.divide(z, 6, out=out)
        np.add(out, 0.5, out=out)
        np.clip(out, 0, 1, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = 1/6 where 0 < a < 1, else 0."""
        np.multiply(a, np.subtract(1, a, out=out), out=out)
        np.greater(out, 0, out=out)
        np.divide(out, 6, out=out)
