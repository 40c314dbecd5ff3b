"""Dropout: in training, units are silenced by chance and the others raised, so that the expected sum stays.

A mask belongs to a row's place in its mini-batch, and to nothing else: any shard, and any worker, draws its own rows'
masks and gets those that the whole mini-batch would have. Knows no network.

Source: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (2014); the kept units
are divided by the share that is kept in training, as in PyTorch, so that prediction needs no change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.mlp.arrays import Array
from workers.mlp.random import MovablePhilox, Purpose, RowPlace
from workers.mlp.scalars import per_network

NUMBERS_PER_BLOCK = 8  # float32 numbers of one Philox block: each row begins with a block of its own


def row_width(units: int) -> int:
    """Return how many random numbers a row of that many units takes, its unused ones included."""
    return -(-units // NUMBERS_PER_BLOCK) * NUMBERS_PER_BLOCK


class Dropout:
    """Draws the masks of a network's layers."""

    def __init__(self) -> None:
        self._random = MovablePhilox()

    def draw(self, rate: ArrayLike, place: RowPlace, layer: int, chance: NDArray[np.float32], out: Array) -> None:
        """Write 0 for a silenced unit and 1 / (1 − rate) for a kept one; each network may have a rate of its own.

        Shapes: out (…, samples, units); chance, which is used up, (…, samples, row_width(units)).
        """
        units = out.shape[-1]
        block = place.row * (row_width(units) // NUMBERS_PER_BLOCK)
        seeds, epochs = (np.broadcast_to(np.asarray(each, np.int64), out.shape[:-2]) for each in place[:2])
        for network in np.ndindex(out.shape[:-2]):
            seed, epoch = int(seeds[network]), int(epochs[network])
            generator = self._random.at(seed, Purpose.DROPOUT, epoch=epoch, step=place.step, layer=layer, block=block)
            generator.random(dtype=np.float32, out=chance[network])
        np.greater_equal(chance[..., :units], per_network(rate, chance.dtype, 2), out=out)
        np.multiply(out, per_network(1 / (1 - np.asarray(rate)), out.dtype, 2), out=out)
