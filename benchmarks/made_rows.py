"""The rows and the network that every side of the comparisons on two cores trains on: made, the same for all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

SIZES = (784, 256, 128, 10)
PARAMETERS = sum((below + 1) * units for below, units in pairwise(SIZES))
ROWS = 16384  # a multiple of each batch
LEARNING_RATE = 0.1


class Rows(NamedTuple):
    """Shapes: x (rows, 784) float32, y (rows,) classes as int64."""

    x: Any
    y: Any


def made(rows: int = ROWS) -> Rows:
    """Normal inputs, and the class whose hidden direction each has most of."""
    import numpy as np

    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, SIZES[0]), np.float32)
    directions = generator.standard_normal((SIZES[0], SIZES[-1]), np.float32)
    return Rows(x, np.argmax(x @ directions, axis=1))
