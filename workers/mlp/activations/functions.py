"""Elementary functions, in place: what NumPy lacks, or leaves to a C library that is slow. Know no activation.

Each takes planes of work that it overwrites; `out` may be where its argument is.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from workers.mlp.arrays import Array

CHEBYSHEV = (
    0.9704512045660766,
    0.7517088168395706,
    0.22219355567525104,
    0.048517753260446085,
    0.006925920496242481,
    0.00032059847439814995,
    -0.00010054739163210669,
    -1.890336901970708e-05,
    1.0103568854747292e-06,
    6.145334749397336e-07,
    -3.3810201200743603e-09,
    -2.068650806169996e-08,
    -1.1282603637846731e-10,
    7.774015228783727e-10,
    -9.941424202327151e-12,
    -3.174482951611303e-11,
    1.842480718403147e-12,
    1.31286161352597e-12,
    -1.7415360865687405e-13,
    -4.907273681637329e-14,
    1.293136329254335e-14,
    1.218093899291305e-15,
    -8.052360450905674e-16,
)
_FURTHEST = 40.0  # where e^(−x²/2) is 0 in either precision
_COEFFICIENTS = {  # of 1, s, s², …
    np.dtype(precision): cheb2poly(CHEBYSHEV[:terms]).tolist()
    for precision, terms in ((np.float32, 10), (np.float64, len(CHEBYSHEV)))
}


def expm1(x: Array, out: Array, scratch: Array) -> None:
    """Write eˣ − 1 = 2t / (1 − t) with t = tanh(x / 2), which loses no digits near 0; x is at most 0."""
    np.tanh(np.multiply(x, 0.5, out=out), out=out)
    np.divide(out, np.subtract(1, out, out=scratch), out=out)
    np.multiply(out, 2, out=out)


def log1p(w: Array, u: Array, rest: Array) -> None:
    """Write ln(1 + w) into `u`, for 0 ≤ w ≤ 1: what u = 1 + w rounds away is added to ln u as (w − (u − 1)) / u."""
    np.add(w, 1, out=u)
    np.subtract(w, np.subtract(u, 1, out=rest), out=rest)
    np.divide(rest, u, out=rest)
    np.add(np.log(u, out=u), rest, out=u)


def tail(z: Array, out: Array, x: Array, bell: Array) -> None:
    """Write Q(|z|) into `out`, and leave x = min(|z|, 40) and e^(−x²/2) in two planes.

    Q(x) = 1 − Φ(x) = ½ erfc(x / √2) is the tail of the normal distribution. (x + 4) e^(x²/2) Q(x) is smooth and
    bounded; with s = (4 − x) / (4 + x) all x ≥ 0 lie in −1 < s ≤ 1, and a polynomial in s comes as near as the
    precision goes: to 2·10⁻¹⁶ in Q with all coefficients, to 1.2·10⁻⁷ with the first ten.
    Source: Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞ (1981); the
    same for e^(x²/2) Q(x), interpolated in 60 Chebyshev nodes with 40 digits.
    """
    np.minimum(np.absolute(z, out=x), _FURTHEST, out=x)
    s = np.divide(np.subtract(4, x, out=bell), np.add(x, 4, out=out), out=bell)
    highest, *others = reversed(_COEFFICIENTS[z.dtype])
    out.fill(highest)
    for coefficient in others:
        np.multiply(out, s, out=out)
        np.add(out, coefficient, out=out)
    np.divide(out, np.add(x, 4, out=bell), out=out)
    np.multiply(x, x, out=bell)
    np.exp(np.multiply(bell, -0.5, out=bell), out=bell)
    np.multiply(out, bell, out=out)
