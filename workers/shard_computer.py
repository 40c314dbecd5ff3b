"""The computing of shards and evaluation blocks, wherever a slot is: (weights, shards of a mini-batch) → sums.

Runs in a gradient worker's process, and in the parameter server's own. Keeps nothing from step to step that changes a
bit. Knows neither tokens nor how what it computes travels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.batches import Step, batch_rows, epoch_order, shard_slice
from workers.datafiles import DataFiles, Part
from workers.evaluation import BLOCK_ROWS, block_rows, evaluate_block
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.mlp.random import RowPlace
from workers.mlp.sums import BatchSums
from workers.summation import tree_split


@dataclass(frozen=True)
class Assignment:
    """What a worker must know to compute any shard of any step of one job."""

    architecture: Architecture
    data: DataFiles
    batch_size: int
    shards: int
    seed: int
    shuffle: bool


@dataclass(frozen=True)
class Partial:
    """The sums over the complete subtree [lo, hi) of a mini-batch's shards; `gradient` is the flat vector of sums."""

    lo: int
    hi: int
    gradient: NDArray[np.floating]
    sums: BatchSums

    def plus(self, right: Partial) -> Partial:
        """The sums over this subtree and the one right of it; both are used up where this one's gradient can be."""
        gradient = self.gradient
        summed = np.add(gradient, right.gradient, out=gradient if gradient.flags.writeable else None)
        return Partial(self.lo, right.hi, summed, self.sums.plus(right.sums))


class ShardComputer:
    """Computes the shards and evaluation blocks of one job from its mapped data."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self._data = assignment.data.open()
        self.rows = len(self._data.x_train)
        batch = min(assignment.batch_size, self.rows)
        largest = -(-batch // assignment.shards)
        network = assignment.architecture
        self._network = Network(network, max(largest, 1))
        self._evaluator = Network(network, BLOCK_ROWS)
        width = self._data.x_train.shape[1]
        self._x = np.empty((largest, width), network.dtype)
        self._y = np.empty((largest, self._data.y_train.shape[1]), network.dtype)
        self._w = None if self._data.w_train is None else np.empty(largest, network.dtype)
        self._buffers: dict[int, Parameters] = {}
        self._order: tuple[int, NDArray[np.int64]] | None = None

    @property
    def rows_by_part(self) -> dict[Part, int]:
        """How many rows each part has."""
        return {"train": self.rows, "validation": self.rows_of("validation")}

    def rows_of(self, part: Part) -> int:
        """How many rows a part has."""
        return len(self._data.part(part).x)

    def rows_of_block(self, part: Part, block: int) -> slice:
        """The place of a block's rows in its part."""
        return slice(*block_rows(block).indices(self.rows_of(part)))

    def subtree(self, parameters: Parameters, step: Step, lo: int, hi: int, out: Parameters) -> BatchSums | None:
        """Sum the gradients of the shards [lo, hi), a complete subtree, into `out`; None when all of them are empty."""
        if hi - lo == 1:
            return self.shard(parameters, step, lo, out)
        middle = tree_split(lo, hi)
        left = self.subtree(parameters, step, lo, middle, out)
        beside = self._beside(middle - lo)
        right = self.subtree(parameters, step, middle, hi, beside if left is not None else out)
        if left is None or right is None:
            return left if right is None else right
        np.add(out.flat, beside.flat, out=out.flat)
        return left.plus(right)

    def shard(self, parameters: Parameters, step: Step, shard: int, out: Parameters) -> BatchSums | None:
        """Write the gradient sums of one shard into `out`; None when it has no row."""
        batch = self._batch(step)
        part = shard_slice(len(batch), self.assignment.shards, shard)
        rows = batch[part]
        count = len(rows)
        if count == 0:
            return None
        x, y = self._x[:count], self._y[:count]
        np.take(self._data.x_train, rows, axis=0, out=x, mode="clip")
        np.take(self._data.y_train, rows, axis=0, out=y, mode="clip")
        place = RowPlace(self.assignment.seed, step.epoch, step.number, part.start)
        return self._network.gradient(parameters, x, y, self._weights(rows), out, place, observe=step.observe)

    def evaluate(self, parameters: Parameters, part: Part, block: int, outputs: Array) -> BatchSums:
        """Write the outputs of one block of 256 rows of a part, and return its sums.

        Shapes: outputs (rows of the block, outputs).
        """
        data = self._data.part(part)
        return evaluate_block(self._evaluator, parameters, data, block, outputs, observe=True)

    def _weights(self, rows: NDArray[np.int64]) -> NDArray[np.floating] | None:
        """What these rows of the training part weigh; None where each weighs 1."""
        if self._data.w_train is None or self._w is None:
            return None
        return np.take(self._data.w_train, rows, out=self._w[: len(rows)], mode="clip")

    def _beside(self, width: int) -> Parameters:
        """The buffer in which a right half is summed while its left half, `width` shards wide, waits."""
        if width not in self._buffers:
            self._buffers[width] = Parameters(self.assignment.architecture)
        return self._buffers[width]

    def _batch(self, step: Step) -> NDArray[np.int64]:
        given = self.assignment
        if self._order is None or self._order[0] != step.epoch:
            self._order = (step.epoch, epoch_order(self.rows, given.seed, step.epoch, given.shuffle))
        return self._order[1][batch_rows(self.rows, given.batch_size, step.number)]
