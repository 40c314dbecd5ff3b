"""Array types, aligned memory and the workspace of one layer. Knows nothing of networks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Weights that diverge must show in the loss, where someone says so, and not as warnings of each operation on the way.
quietly = np.errstate(over="ignore", invalid="ignore")

ALIGNMENT_BYTES = 64  # a cache line, and the widest vector register

Array = NDArray[np.floating[Any]]
Arrays = dict[str, Array]


class Workspace(NamedTuple):
    """Room for intermediate results, so that a step allocates nothing of its mini-batch's size.

    Shapes: the planes are (…, samples, units), the columns (…, samples, 1).
    """

    first: Array
    second: Array
    third: Array
    column: Array
    other_column: Array


def aligned(shape: int | tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return zeros, C-contiguous, that begin at a 64-byte boundary."""
    size_bytes = math.prod(np.atleast_1d(shape).tolist()) * np.dtype(dtype).itemsize
    memory = np.zeros(size_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[start : start + size_bytes].view(dtype).reshape(shape)


def padded(size: int, dtype: DTypeLike) -> int:
    """Round a number of elements up, so that what follows begins at a 64-byte boundary again."""
    per_line = ALIGNMENT_BYTES // np.dtype(dtype).itemsize
    return -(-size // per_line) * per_line
