"""What an evaluation answers, and how its blocks of 256 rows become one. Knows not who computed them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workers.datafiles import PartData
from workers.mlp.arrays import Array
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.summation import combine

BLOCK_ROWS = 256  # the fixed unit of evaluation: a row's bits depend on how many rows its product has


class Evaluation(NamedTuple):
    """The sums over a part of the data, and each row's outputs.

    Shapes: outputs (…, rows, outputs), in the order of the part; the next evaluation of the part overwrites them.
    """

    sums: BatchSums
    outputs: Array

    def members(self) -> list[Evaluation]:
        """That of each network of a population."""
        return [Evaluation(sums, outputs) for sums, outputs in zip(self.sums.members(), self.outputs, strict=True)]


class Gathering:
    """Where the blocks of a part are gathered, evaluation after evaluation, whatever order they come in."""

    def __init__(self, rows: int, outputs: int, dtype: np.dtype[np.floating], networks: tuple[int, ...] = ()) -> None:
        self.blocks = block_count(rows)
        self._outputs = np.empty((*networks, rows, outputs), dtype)
        self._sums: dict[int, BatchSums] = {}

    def rows_of(self, block: int) -> Array:
        """Where a block's outputs belong."""
        return self._outputs[..., block_rows(block), :]

    def add(self, block: int, sums: BatchSums) -> None:
        """Take a block's sums."""
        self._sums[block] = sums

    def sums_of(self, block: int) -> BatchSums:
        """A block's sums."""
        return self._sums[block]

    def whole(self) -> Evaluation | None:
        """The evaluation, once every block is there, its sums by the fixed tree; None of a part without rows."""
        sums = combine(self._sums, 0, self.blocks, BatchSums.plus)
        return None if sums is None else Evaluation(sums, self._outputs)


def evaluate_block(
    network: Network, parameters: Parameters, data: PartData, block: int, outputs: Array, *, observe: bool = False
) -> BatchSums:
    """Write the outputs of one block into `outputs`, and return its sums.

    Shapes: outputs (…, rows of the block, outputs).
    """
    rows = block_rows(block)
    weights = None if data.w is None else data.w[rows]
    sums = network.sums(parameters, data.x[rows], data.y[rows], weights, observe=observe)
    np.copyto(outputs, network.layers(outputs.shape[-2])[-1].a)
    return sums


def block_count(rows: int) -> int:
    """Return how many blocks a part of so many rows has."""
    return -(-rows // BLOCK_ROWS)


def block_rows(block: int) -> slice:
    """Return the place of a block's rows; the last block may be short."""
    return slice(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
