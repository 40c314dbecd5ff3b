"""The first weights, from a seed, one short class each way to draw them. Know nothing of training.

What keeps the spread of signals and deltas from layer to layer is a variance of W that follows from how many inputs
and units a layer has; the names are those of Keras and PyTorch, and normal distributions are whole, as PyTorch's are
(Keras cuts them at two standard deviations). A new one is one more class: its name is taken up when it is defined.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.mlp.activations import find_activation
from workers.mlp.choices import Choice, make
from workers.mlp.parameters import Parameters
from workers.mlp.random import Purpose, philox

INITIALIZERS: dict[str, type[Initializer]] = {}  # each class that has a name
STARTS = {"gain": 1.0, "shift": 0.0, "running_mean": 0.0, "running_variance": 1.0}


@dataclass(frozen=True)
class Initializer(ABC):
    """A way to draw a layer's first W; the fields are its options."""

    name: ClassVar[str]

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            INITIALIZERS[cls.name] = cls

    @abstractmethod
    def draw(self, generator: np.random.Generator, inputs: int, units: int) -> NDArray[np.float64]:
        """Return W (inputs, units)."""


class VarianceScaling(Initializer):
    """Numbers of mean 0 whose variance follows from the layer's size."""

    @abstractmethod
    def variance(self, inputs: int, units: int) -> float:
        """The variance of each number."""


class Uniform(VarianceScaling):
    """Uniform in ±√(3 · variance)."""

    def draw(self, generator: np.random.Generator, inputs: int, units: int) -> NDArray[np.float64]:
        """Return W."""
        limit = math.sqrt(3 * self.variance(inputs, units))
        return generator.uniform(-limit, limit, (inputs, units))


class Normal(VarianceScaling):
    """Normal with standard deviation √variance."""

    def draw(self, generator: np.random.Generator, inputs: int, units: int) -> NDArray[np.float64]:
        """Return W."""
        return generator.normal(0.0, math.sqrt(self.variance(inputs, units)), (inputs, units))


class Glorot(VarianceScaling):
    """2 / (inputs + units): a compromise between signals, which go forward, and deltas, which go back.

    It serves relu too, as in scikit-learn: twice the variance (He's) brings a regression on standardised data to the
    edge of stability at its usual rate.
    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward networks (2010), eq. 12 and 16.
    """

    def variance(self, inputs: int, units: int) -> float:
        """The compromise."""
        return 2 / (inputs + units)


class He(VarianceScaling):
    """2 / inputs: a rectifier lets half of a signal through.

    Source: He et al., Delving deep into rectifiers (2015), eq. 10.
    """

    def variance(self, inputs: int, units: int) -> float:
        """Twice LeCun's."""
        return 2 / inputs


class LeCun(VarianceScaling):
    """1 / inputs: net inputs have the variance of the signals below.

    Source: LeCun et al., Efficient BackProp (1998), eq. 16.
    """

    def variance(self, inputs: int, units: int) -> float:
        """Of inputs alone."""
        return 1 / inputs


class GlorotUniform(Glorot, Uniform):
    """Glorot's, uniform in ±√(6 / (inputs + units))."""

    name = "glorot_uniform"

    def draw(self, generator: np.random.Generator, inputs: int, units: int) -> NDArray[np.float64]:
        """Return W. The limit is computed as it always was: its last bit is part of every result."""
        limit = math.sqrt(6 / (inputs + units))
        return generator.uniform(-limit, limit, (inputs, units))


class GlorotNormal(Glorot, Normal):
    """Glorot's, normal."""

    name = "glorot_normal"


class HeUniform(He, Uniform):
    """He's, uniform in ±√(6 / inputs)."""

    name = "he_uniform"


class HeNormal(He, Normal):
    """He's, normal."""

    name = "he_normal"


class LeCunUniform(LeCun, Uniform):
    """LeCun's, uniform in ±√(3 / inputs)."""

    name = "lecun_uniform"


class LeCunNormal(LeCun, Normal):
    """LeCun's, normal."""

    name = "lecun_normal"


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """`gain` times a matrix whose rows, or columns where they are fewer, are orthonormal; any such one alike.

    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning (2014), section 3.
    """

    name = "orthogonal"

    gain: float = field(default=1.0, metadata={"above": 0, "most": 100})

    def draw(self, generator: np.random.Generator, inputs: int, units: int) -> NDArray[np.float64]:
        """Return W, by the QR decomposition of normal numbers; with the signs of R's diagonal none is preferred."""
        tall = generator.normal(size=(max(inputs, units), min(inputs, units)))
        q, r = np.linalg.qr(tall)
        scaled: NDArray[np.float64] = self.gain * np.copysign(1, np.diag(r)) * q
        return scaled if inputs >= units else scaled.T


@dataclass(frozen=True)
class UniformOfLimit(Initializer):
    """Uniform in ±limit, whatever the layer's size."""

    name = "uniform"

    limit: float = field(default=0.05, metadata={"above": 0, "most": 100})

    def draw(self, generator: np.random.Generator, inputs: int, units: int) -> NDArray[np.float64]:
        """Return W."""
        return generator.uniform(-self.limit, self.limit, (inputs, units))


class Zeros(Initializer):
    """Zeros, as the first delta rule began. The units of a hidden layer would stay alike, or learn nothing."""

    name = "zeros"

    def draw(self, generator: np.random.Generator, inputs: int, units: int) -> NDArray[np.float64]:
        """Return W."""
        return np.zeros((inputs, units))


def initialize(parameters: Parameters, seed: int | Sequence[int], initializer: Choice = "glorot_uniform") -> None:
    """Write each network's first weights; biases are 0, and what a layer learns beside them has a start of its own.

    A population takes one seed, or one for each network; each member gets the weights of its solo run.
    """
    chosen = make(INITIALIZERS, initializer, "initializer")
    seeds = np.broadcast_to(np.asarray(seed, np.int64), parameters.networks)
    for index in np.ndindex(parameters.networks):
        member = parameters.member(index)
        for layer, weights in enumerate(member.W):
            generator = philox(int(seeds[index]), Purpose.WEIGHTS, layer=layer)
            weights[...] = chosen.draw(generator, *weights.shape)
        for bias in member.b:
            bias[...] = 0
    for shape, others in zip(parameters.architecture.layers, parameters.others, strict=True):
        starts = {**STARTS, **find_activation(shape.activation).starts}
        for name, array in others.items():
            array[...] = starts[name]
