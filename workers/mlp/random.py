"""Random numbers by counter: any of them can be made again from its place, and no stream state is carried.

Knows not what the numbers are for, only that purposes differ.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are drawn for. The numbers are part of every result: never change one."""

    WEIGHTS = 1
    ORDER = 2
    DROPOUT = 3
    SPLIT = 4


def philox(seed: int, purpose: Purpose, *, epoch: int = 0, step: int = 0, layer: int = 0) -> np.random.Generator:
    """Return the generator that belongs to (seed, purpose, epoch, step, layer) alone.

    Philox turns a key of two 64-bit words and a counter of four into random bits. Seed and purpose are the key; epoch,
    step and layer are the counter's upper three words, and drawing counts in the lowest.
    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).
    """
    key = np.array([seed, purpose], np.uint64)
    counter = np.array([0, layer, step, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
