"""The activations that the first networks were made with."""

from __future__ import annotations

import numpy as np

from workers.mlp.activations.base import Activation, Elementwise, Positive
from workers.mlp.arrays import Array, Workspace
from workers.mlp.intervals import BETWEEN_0_AND_1, REALS, Interval


class Identity(Elementwise):
    """The net input itself; any real number."""

    name = "identity"
    image = REALS

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = z."""
        if out is not z:
            np.copyto(out, z)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = 1."""
        out.fill(1)

    def backward(self, z: Array, a: Array, delta: Array, work: Workspace) -> None:
        """delta stays as it is."""


class Sigmoid(Positive):
    """The logistic function; outputs between 0 and 1."""

    name = "sigmoid"
    image = BETWEEN_0_AND_1

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = 1 / (1 + e⁻ᶻ)."""
        np.negative(z, out=out)
        with np.errstate(over="ignore"):  # e⁻ᶻ = ∞ gives f(z) = 0, which is the nearest number
            np.exp(out, out=out)
        np.add(out, 1, out=out)
        np.divide(1, out, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = a (1 − a)."""
        np.subtract(1, a, out=out)
        np.multiply(a, out, out=out)

    def log(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """Write ln f(z) = −ln(1 + e⁻ᶻ)."""
        np.negative(z, out=out)
        np.logaddexp(out, 0, out=out)
        np.negative(out, out=out)

    def log_derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """(ln f)′ = 1 − f(z) = f(−z)."""
        np.negative(z, out=out)
        self.apply(out, out, work)


class Tanh(Elementwise):
    """The hyperbolic tangent; outputs between −1 and 1."""

    name = "tanh"
    image = Interval(-1, 1)

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = tanh z."""
        np.tanh(z, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = 1 − a²."""
        np.multiply(a, a, out=out)
        np.subtract(1, out, out=out)


class Softmax(Activation):
    """A distribution over the units; each unit sees all net inputs. For outputs alone."""

    name = "softmax"
    image = BETWEEN_0_AND_1
    hidden = False

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
