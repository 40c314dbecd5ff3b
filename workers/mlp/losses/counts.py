"""The losses of counts, rates and amounts: of what is not negative, and spreads more where it is larger.

    poisson    Σ oₖ − yₖ ln oₖ                                   y ≥ 0; the variance grows as the mean
    gamma      Σ ln oₖ + yₖ / oₖ                                 y > 0; … as its square
    tweedie    Σ oₖ^(2−p) / (2 − p) − yₖ oₖ^(1−p) / (1 − p)      y ≥ 0; … as its power p, 1 < p < 2

Each is the negative log-likelihood without what no weight changes. Outputs are positive and enter by t = ln o, which
the activation gives without loss of digits, so that ∂E/∂z = ∂E/∂t · (ln f)′(z). Auto is `exponential`: t = z.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np

from workers.mlp.activations import Activation, Positive
from workers.mlp.arrays import Array, Workspace
from workers.mlp.intervals import NOT_NEGATIVE, POSITIVE
from workers.mlp.losses.base import Loss

AMOUNTS: Final = {"regression": "exponential"}


class LossOfLogarithm(Loss):
    """A loss of t = ln o."""

    domain = POSITIVE

    @classmethod
    def takes(cls, activation: Activation) -> bool:
        """Whether the outputs are positive, one by one."""
        return isinstance(activation, Positive)

    @abstractmethod
    def terms(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write each output's part of E into `out`; t is the third plane."""

    @abstractmethod
    def slope(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write ∂E/∂t into `out`; t is the third plane."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E is the sum of its terms."""
        self.terms(self._log(z, o, work), o, y, work.first, work)
        work.first.sum(axis=-1, out=out)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂z = ∂E/∂t · (ln f)′(z)."""
        assert isinstance(self.activation, Positive)
        self.slope(self._log(z, o, work), o, y, out, work)
        self.activation.log_derivative(z, o, work.third, work)
        np.multiply(out, work.third, out=out)

    def _log(self, z: Array, o: Array, work: Workspace) -> Array:
        assert isinstance(self.activation, Positive)
        self.activation.log(z, o, work.third, work)
        return work.third


class Poisson(LossOfLogarithm):
    """Counts: their logarithm's mean is linear in what the last layer sees.

    Source: McCullagh and Nelder, Generalized linear models (1989), section 6.2.
    """

    name = "poisson"
    outputs: ClassVar = AMOUNTS
    targets = NOT_NEGATIVE

    def terms(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """oₖ − yₖ tₖ."""
        np.subtract(o, np.multiply(y, t, out=out), out=out)

    def slope(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂tₖ = oₖ − yₖ."""
        np.subtract(o, y, out=out)


class Gamma(LossOfLogarithm):
    """Amounts whose spread is in proportion to them.

    Source: McCullagh and Nelder, Generalized linear models (1989), section 8.3.
    """

    name = "gamma"
    outputs: ClassVar = AMOUNTS
    targets = POSITIVE

    def terms(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """tₖ + yₖ e^−tₖ."""
        np.add(np.multiply(y, power(t, -1, out), out=out), t, out=out)

    def slope(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂tₖ = 1 − yₖ e^−tₖ."""
        np.subtract(1, np.multiply(y, power(t, -1, out), out=out), out=out)


@dataclass(frozen=True)
class Tweedie(LossOfLogarithm):
    """Amounts many of which are exactly 0, as claims are; between poisson (p = 1) and gamma (p = 2).

    Source: Jørgensen, Exponential dispersion models (1987), section 5.
    """

    name = "tweedie"
    outputs: ClassVar = AMOUNTS
    targets = NOT_NEGATIVE

    power: float = field(default=1.5, metadata={"above": 1, "below": 2})

    def terms(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """e^((2−p) tₖ) / (2 − p) + yₖ e^((1−p) tₖ) / (p − 1)."""
        np.multiply(y, power(t, 1 - self.power, out), out=out)
        np.divide(out, self.power - 1, out=out)
        np.divide(power(t, 2 - self.power, work.second), 2 - self.power, out=work.second)
        np.add(out, work.second, out=out)

    def slope(self, t: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂tₖ = e^((2−p) tₖ) − yₖ e^((1−p) tₖ)."""
        np.multiply(y, power(t, 1 - self.power, out), out=out)
        np.subtract(power(t, 2 - self.power, work.second), out, out=out)


def power(t: Array, exponent: float, out: Array) -> Array:
    """Return oᵉ = e^(exponent · t), written into `out`; cut at the root of the largest number, so that 0 · oᵉ is 0."""
    np.multiply(t, exponent, out=out)
    np.minimum(out, math.log(np.finfo(t.dtype).max) / 2, out=out)
    return np.exp(out, out=out)
