"""The computing of shards and evaluation blocks, wherever a slot is: (weights, shards of a mini-batch) → sums.

Runs in a gradient worker's process, and in the parameter server's own. Keeps nothing from step to step that changes a
bit. Knows neither tokens nor how what it computes travels. Where an assignment is a population's, all that is computed
has a leading axis: each network has the bits that it has alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.batches import Orders, Step, shard_slice
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
    """What a worker must know to compute any shard of any step of one job.

    That of a population has a seed for each network, and the dropout rates of each: `workers.population` makes it.
    """

    architecture: Architecture
    data: DataFiles
    batch_size: int
    shards: int
    seed: int | tuple[int, ...]
    shuffle: bool
    dropout_rates: tuple[tuple[float, ...], ...] = ()  # by place, as the architecture has them; () stands for its own

    @property
    def networks(self) -> tuple[int, ...]:
        """The leading axes of all that is computed; () for a network alone."""
        return () if isinstance(self.seed, int) else (len(self.seed),)


class Rows(NamedTuple):
    """Room for a shard's rows, which all networks may share. Shapes: x (…, rows, inputs), y (…, rows, outputs), w."""

    x: NDArray[np.floating]
    y: NDArray[np.floating]
    w: NDArray[np.floating] | None


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
        self._largest = -(-batch // assignment.shards)  # shard
        self._buffers: dict[int, Parameters] = {}
        self._orders = Orders(self.rows, assignment.seed, assignment.shuffle)
        self._views: dict[tuple[int, ...], Rows] = {}

    @cached_property
    def _network(self) -> Network:
        given = self.assignment
        return Network(given.architecture, max(self._largest, 1), given.networks, given.dropout_rates)

    @cached_property
    def _evaluator(self) -> Network:
        return Network(self.assignment.architecture, BLOCK_ROWS, self.assignment.networks)

    @cached_property
    def _memory(self) -> Rows:
        data, dtype, most = self._data, self.assignment.architecture.dtype, math.prod(self.assignment.networks)
        rows = most * self._largest
        x, y = (np.empty(rows * array.shape[1], dtype) for array in (data.x_train, data.y_train))
        return Rows(x, y, None if data.w_train is None else np.empty(rows, dtype))

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
        batch = self._orders.batch(step, self.assignment.batch_size)
        part = shard_slice(batch.shape[-1], self.assignment.shards, shard)
        rows = batch[..., part]
        if rows.size == 0:
            return None
        x, y, w = self._room_for(rows.shape)
        np.take(self._data.x_train, rows, axis=0, out=x, mode="clip")
        np.take(self._data.y_train, rows, axis=0, out=y, mode="clip")
        if w is not None and self._data.w_train is not None:
            np.take(self._data.w_train, rows, out=w, mode="clip")
        place = RowPlace(self.assignment.seed, step.epoch, step.number, part.start)
        return self._network.gradient(parameters, x, y, w, out, place, observe=step.observe)

    def evaluate(self, parameters: Parameters, part: Part, block: int, outputs: Array) -> BatchSums:
        """Write the outputs of one block of 256 rows of a part, and return its sums.

        Shapes: outputs (…, rows of the block, outputs).
        """
        data = self._data.part(part)
        return evaluate_block(self._evaluator, parameters, data, block, outputs, observe=True)

    def _room_for(self, shape: tuple[int, ...]) -> Rows:
        """The room for rows of that shape, (samples,) or (networks, samples)."""
        if shape not in self._views:
            x, y, w = self._memory
            count = math.prod(shape)
            inputs, outputs = self._data.x_train.shape[1], self._data.y_train.shape[1]
            self._views[shape] = Rows(
                x[: count * inputs].reshape(*shape, inputs),
                y[: count * outputs].reshape(*shape, outputs),
                None if w is None else w[:count].reshape(shape),
            )
        return self._views[shape]

    def _beside(self, width: int) -> Parameters:
        """The buffer in which a right half is summed while its left half, `width` shards wide, waits."""
        if width not in self._buffers:
            self._buffers[width] = Parameters(self.assignment.architecture, self.assignment.networks)
        return self._buffers[width]
