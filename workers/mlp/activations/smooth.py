"""The smooth activations of newer networks. Those that are not monotonous need z for their slope.

Exponentials are taken of what cannot overflow; where f′ multiplies a large z by what has become 0, it is 0.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from workers.mlp.activations.base import Elementwise, Positive
from workers.mlp.activations.classic import Sigmoid
from workers.mlp.activations.functions import expm1, log1p
from workers.mlp.arrays import Array, Workspace
from workers.mlp.intervals import Interval

_SURE: Final = 40.0  # a net input from which on tanh(softplus(z)) and the like are 1; e⁸⁰ is still a float32


class Exponential(Positive):
    """eᶻ, for outputs that are counts or rates: the inverse of Poisson regression's log link.

    Source: McCullagh and Nelder, Generalized linear models (1989), section 2.2.4.
    """

    name = "exponential"

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = eᶻ."""
        np.exp(z, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = a."""
        np.copyto(out, a)

    def log(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """Write ln f(z) = z."""
        np.copyto(out, z)

    def log_derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """(ln f)′ = 1."""
        out.fill(1)


class Softplus(Positive):
    """A smooth rectifier.

    Source: Dugas et al., Incorporating second-order functional knowledge for better option pricing (2001).
    """

    name = "softplus"

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = ln(1 + eᶻ) = max(z, 0) + ln(1 + e^−|z|)."""
        first, second = work.first, work.second
        np.exp(np.negative(np.absolute(z, out=first), out=first), out=first)
        log1p(first, second, work.third)
        np.add(np.maximum(z, 0, out=out), second, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = 1 / (1 + e⁻ᶻ) = 1 − e⁻ᵃ."""
        expm1(np.negative(a, out=out), out, work.second)
        np.negative(out, out=out)

    def log(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """Write ln f(z): z itself where a has become 0, since ln f(z) → z from below."""
        np.log(np.maximum(a, np.finfo(a.dtype).tiny, out=out), out=out)
        np.minimum(out, z, out=out)

    def log_derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """(ln f)′ = (1 − e⁻ᵃ) / a, which is 1 where a has become 0."""
        minus_a = work.first
        np.minimum(np.negative(a, out=minus_a), -np.finfo(a.dtype).tiny, out=minus_a)
        expm1(minus_a, out, work.second)
        np.divide(out, minus_a, out=out)


class Silu(Elementwise):
    """The net input times its sigmoid, also called swish.

    Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units (2018), eq. 1 and 2.
    """

    name = "silu"
    keeps_z = True
    image = Interval(lowest=-0.27846454276107380, lowest_in=True)

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = z s with s = 1 / (1 + e⁻ᶻ)."""
        Sigmoid().apply(z, work.first, work)
        np.multiply(z, work.first, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = s (1 + z (1 − s))."""
        s = work.second
        Sigmoid().apply(z, s, work)
        np.multiply(np.subtract(1, s, out=out), z, out=out)
        np.multiply(np.add(out, 1, out=out), s, out=out)


class Mish(Elementwise):
    """The net input times tanh of its softplus.

    With e = eᶻ and n = e (e + 2), tanh(ln(1 + e)) = n / (n + 2).
    Source: Misra, Mish: a self regularized non-monotonic activation function (2020), eq. 1 and 4.
    """

    name = "mish"
    keeps_z = True
    image = Interval(lowest=-0.30884341301725, lowest_in=True)

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = z n / (n + 2)."""
        e, n = work.first, work.second
        _grow(z, e, n)
        np.divide(n, np.add(n, 2, out=e), out=n)
        np.multiply(z, n, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = n / (n + 2) + 4 z e (e + 1) / (n + 2)², where e (e + 1) = n − e."""
        rest, q = work.second, work.third
        _grow(z, rest, out)
        np.subtract(out, rest, out=rest)
        np.divide(1, np.add(out, 2, out=q), out=q)
        np.multiply(out, q, out=out)
        np.multiply(np.multiply(rest, q, out=rest), q, out=rest)
        np.multiply(rest, np.minimum(z, _SURE, out=q), out=rest)
        np.add(out, np.multiply(rest, 4, out=rest), out=out)


def _grow(z: Array, e: Array, n: Array) -> None:
    """Write e = eᶻ, of a z that is at most 40, and n = e (e + 2)."""
    np.exp(np.minimum(z, _SURE, out=e), out=e)
    np.multiply(e, np.add(e, 2, out=n), out=n)


class Softsign(Elementwise):
    """A slower tanh; outputs between −1 and 1.

    Source: Turian, Bergstra and Bengio, Quadratic features and deep architectures for chunking (2009).
    """

    name = "softsign"
    keeps_z = True  # a nears 1 long before f′ nears 0, so that 1 − |a| has lost its digits
    image = Interval(-1, 1)

    def apply(self, z: Array, out: Array, work: Workspace) -> None:
        """f(z) = z / (1 + |z|)."""
        np.add(np.absolute(z, out=work.first), 1, out=work.first)
        np.divide(z, work.first, out=out)

    def derivative(self, z: Array, a: Array, out: Array, work: Workspace) -> None:
        """f′(z) = 1 / (1 + |z|)²."""
        np.add(np.absolute(z, out=out), 1, out=out)
        np.divide(1, out, out=out)
        np.multiply(out, out, out=out)
