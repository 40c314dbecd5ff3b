"""The activations a = f(z), one short class each, and the way back through them. Know no loss and no weights.

Each works into buffers that it is given and allocates nothing of their size. `keeps_z = False` says that f′ needs a
alone, so that a hidden layer may write a over z.

Shapes: z, a, delta and out are (…, samples, units); reductions go over the units only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from workers.mlp.arrays import Array, Arrays, Workspace


class Activation(ABC):
    """A function of the net input, applied to each sample."""

    name: ClassVar[str]
    keeps_z: ClassVar[bool] = False

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
    def derivative(self, z: Array, a: Array, out: Array) -> None:
        """Write f′(z) into `out`."""

    def backward(self, z: Array, a: Array, delta: Array, work: Workspace) -> None:
        """∂E/∂z = ∂E/∂a · f′(z)."""
        self.derivative(z, a, work.first)
        np.multiply(delta, work.first, out=delta)


class Identity(Elementwise):
    """The net input itself; any real number."""

    name = "identity"

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = z."""
        if out is not z:
            np.copyto(out, z)

    def derivative(self, z: Array, a: Array, out: Array) -> None:
        """f′(z) = 1."""
        out.fill(1)

    def backward(self, z: Array, a: Array, delta: Array, work: Workspace) -> None:
        """delta stays as it is."""


class Sigmoid(Elementwise):
    """The logistic function; outputs between 0 and 1."""

    name = "sigmoid"

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = 1 / (1 + e⁻ᶻ)."""
        np.negative(z, out=out)
        with np.errstate(over="ignore"):  # e⁻ᶻ = ∞ gives f(z) = 0, which is the nearest number
            np.exp(out, out=out)
        np.add(out, 1, out=out)
        np.divide(1, out, out=out)

    def derivative(self, z: Array, a: Array, out: Array) -> None:
        """f′(z) = a (1 − a)."""
        np.subtract(1, a, out=out)
        np.multiply(a, out, out=out)


class Tanh(Elementwise):
    """The hyperbolic tangent; outputs between −1 and 1."""

    name = "tanh"

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = tanh z."""
        np.tanh(z, out=out)

    def derivative(self, z: Array, a: Array, out: Array) -> None:
        """f′(z) = 1 − a²."""
        np.multiply(a, a, out=out)
        np.subtract(1, out, out=out)


class Relu(Elementwise):
    """The rectifier; outputs of 0 and more."""

    name = "relu"

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = max(0, z)."""
        np.maximum(z, 0, out=out)

    def derivative(self, z: Array, a: Array, out: Array) -> None:
        """f′(z) = 1 for z > 0, else 0; at the corner too, as is usual."""
        np.greater(a, 0, out=out)


class Softmax(Activation):
    """A distribution over the units; each unit sees all net inputs."""

    name = "softmax"

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z)ₖ = e^zₖ / Σⱼ e^zⱼ."""
        z.max(axis=-1, keepdims=True, out=work.column)
        np.subtract(z, work.column, out=out)  # the largest exponent is 0: nothing overflows
        np.exp(out, out=out)
        out.sum(axis=-1, keepdims=True, out=work.column)
        np.divide(out, work.column, out=out)

    def backward(self, z: Array, a: Array, delta: Array, work: Workspace) -> None:
        """∂aₖ/∂zᵢ = aₖ (1{k=i} − aᵢ), so ∂E/∂zᵢ = aᵢ (gᵢ − Σₖ gₖ aₖ) with g = ∂E/∂a: the full Jacobian product."""
        np.multiply(delta, a, out=work.first)
        work.first.sum(axis=-1, keepdims=True, out=work.column)
        np.subtract(delta, work.column, out=delta)
        np.multiply(delta, a, out=delta)


ACTIVATIONS: dict[str, Activation] = {f.name: f for f in (Identity(), Sigmoid(), Tanh(), Relu(), Softmax())}


def find_activation(name: str) -> Activation:
    """Return the activation of that name."""
    return ACTIVATIONS[name]
