"""The scalars of networks: one network's is a number, and of a population each may be an array of shape `networks`.

They are computed in Python's float64 and cast once to the precision. Know neither networks nor data.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def per_network(scalar: Any, dtype: np.dtype[Any], axes: int = 1) -> Any:
    """Return float64 scalars cast once to the precision, to stand beside arrays with so many axes a network."""
    if isinstance(scalar, float):
        return dtype.type(scalar)
    return beside(np.asarray(scalar, np.float64).astype(dtype), axes)


def beside(scalars: ArrayLike, axes: int = 1) -> NDArray[Any]:
    """Return scalars shaped to stand beside arrays with so many axes a network."""
    found = np.asarray(scalars)
    return found.reshape(found.shape + (1,) * axes)


def asked(scalar: Any) -> bool:
    """Whether a scalar, of any network, is not 0."""
    return scalar != 0 if isinstance(scalar, float) else bool(np.any(scalar))


def raised(base: Any, exponent: Any) -> Any:
    """Return base to the power of exponent by Python's own numbers: the last bit of NumPy's may be another."""
    if isinstance(base, float) and isinstance(exponent, int):
        return base**exponent
    return np.asarray(_power(base, exponent), np.float64)


_power = np.frompyfunc(operator.pow, 2, 1)
