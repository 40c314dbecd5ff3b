"""Random numbers by counter: any of them can be made again from its place, and no stream state is carried.

Knows not what the numbers are for, only that purposes differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np


class Purpose(IntEnum):
    """What random numbers are drawn for. The numbers are part of every result: never change one."""

    WEIGHTS = 1
    ORDER = 2
    DROPOUT = 3
    SPLIT = 4
    GRADIENT_CHECK = 5


class RowPlace(NamedTuple):
    """Where rows that follow each other stand: the job's seed, the epoch, the step, and the first one's place in it.

    Of a population, `seed` and `epoch` may be one for each network.
    """

    seed: int | Sequence[int]
    epoch: int | Sequence[int]
    step: int
    row: int


def philox(
    seed: int, purpose: Purpose, *, epoch: int = 0, step: int = 0, layer: int = 0, block: int = 0
) -> np.random.Generator:
    """Return the generator that belongs to (seed, purpose, epoch, step, layer) alone, from its `block` on.

    Philox turns a key of two 64-bit words and a counter of four into random bits. Seed and purpose are the key; epoch,
    step and layer are the counter's upper three words, and drawing counts in the lowest, `block`: one block is four
    float64 numbers, or eight of float32.
    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).
    """
    key = np.array([seed, purpose], np.uint64)
    counter = np.array([block, layer, step, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class MovablePhilox:
    """One generator that is moved from place to place: the numbers of `philox`, without a new object for each step."""

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=np.zeros(2, np.uint64))
        self._generator = np.random.Generator(self._bits)
        self._state: Any = self._bits.state

    def at(
        self, seed: int, purpose: Purpose, *, epoch: int = 0, step: int = 0, layer: int = 0, block: int = 0
    ) -> np.random.Generator:
        """Return the generator where `philox` would begin."""
        self._state["state"]["key"][:] = seed, int(purpose)
        self._state["state"]["counter"][:] = block, layer, step, epoch
        self._bits.state = self._state  # its buffer is that of a generator that has drawn nothing yet
        return self._generator
