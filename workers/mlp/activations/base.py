"""What an activation a = f(z) is, and by which names the activations are found. Knows no loss and no weights.

Each works into buffers that it is given and allocates nothing of their size. `keeps_z = False` says that f′ needs a
alone, so that a hidden layer may write a over z.

Shapes: z, a, delta, out and the workspace's planes are (…, samples, units); reductions go over the units only, but
for the gradient of what a layer learns, (…, units), which is a sum over the samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workers.mlp.arrays import Array, Arrays, Workspace
from workers.mlp.intervals import POSITIVE, Interval

ACTIVATIONS: dict[str, type[Activation]] = {}  # each class that has a name of its own


@dataclass(frozen=True)
class Activation(ABC):
    """A function of the net input, applied to each sample; the fields are its options."""

    name: ClassVar[str]
    keeps_z: ClassVar[bool] = False
    hidden: ClassVar[bool] = True  # whether hidden layers may have it
    learned: ClassVar[tuple[str, ...]] = ()  # what each unit has to learn for it
    initializer: ClassVar[str] = "glorot_uniform"  # what `auto` first weights are, in a network of it

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            ACTIVATIONS[cls.name] = cls

    @property
    @abstractmethod
    def image(self) -> Interval:
        """The interval of its outputs."""

    @property
    def starts(self) -> Mapping[str, float]:
        """What `learned` begins with."""
        return {}

    @abstractmethod
    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """Write a = f(z) into `out`, which may be z itself."""

    @abstractmethod
    def backward(self, z: Array, a: Array, delta: Array, work: Workspace) -> None:
        """Turn delta from ∂E/∂a into ∂E/∂z, in place."""

    def forward(self, z: Array, out: Array, work: Workspace, learned: Arrays) -> None:
        """Do `apply` with what the layer has learned, which most activations have no use for."""
        self.apply(z, out, work)

    def back(self, z: Array, a: Array, delta: Array, work: Workspace, learned: Arrays, gradient: Arrays) -> None:
        """Do `backward` with what the layer has learned, and write its gradient."""
        self.backward(z, a, delta, work)


class Elementwise(Activation):
    """An activation of which each unit sees its own net input only, so that it has a derivative f′."""

    @abstractmethod
    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """Write f′(z) into `out`, which may be the workspace's first plane; the others may be used up."""

    def backward(self, z: Array, a: Array, delta: Array, work: Workspace) -> None:
        """∂E/∂z = ∂E/∂a · f′(z)."""
        self.derivative(z, a, work.first, work)
        np.multiply(delta, work.first, out=delta)


class Positive(Elementwise):
    """An activation whose outputs are above 0, so that they have logarithms: exact even where a has become 0."""

    @property
    def image(self) -> Interval:
        """(0, ∞)."""
        return POSITIVE

    @abstractmethod
    def log(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """Write ln f(z) into `out`, a plane of its own; the first two planes are used up."""

    @abstractmethod
    def log_derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """Write (ln f)′ = f′(z) / f(z) into `out`, a plane of its own; the first two planes are used up."""
