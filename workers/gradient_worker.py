"""One gradient worker: (parameters, shards of a mini-batch) → sums. Keeps nothing from step to step that changes a bit.

`ShardComputer` is the computing itself and runs wherever a slot is: in a worker's own process, or in the parameter
server's when one slot serves the job. `GradientWorker` is the actor round it; it obeys only the job whose token it
was last given, and never an older one. Knows neither Redis nor the queue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers import kernels
from workers.batches import Step, batch_rows, epoch_order, shard_slice
from workers.datafiles import DataFiles, Part
from workers.evaluation import BLOCK_ROWS, block_rows, evaluate_block
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.mlp.random import RowPlace
from workers.mlp.sums import BatchSums
from workers.place import Place
from workers.summation import complete_subtrees, tree_split


class StaleToken(Exception):
    """The caller's lease is not the one that this worker serves."""


def generation(token: str) -> int:
    """The counter of a fencing token `<counter>-<random>`; 0 for none."""
    return int(token.partition("-")[0] or 0)


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
        """The sums over this subtree and the one right of it."""
        return Partial(self.lo, right.hi, self.gradient + right.gradient, self.sums.plus(right.sums))


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

    def rows_of(self, part: Part) -> int:
        """How many rows a part has."""
        return len(self._data.part(part).x)

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


class GradientWorker:
    """The actor round a `ShardComputer`: serves one job at a time, the one whose lease is the latest."""

    def __init__(self) -> None:
        kernels.check()
        self._fingerprint = kernels.fingerprint()
        self._token = ""
        self._computer: ShardComputer | None = None

    def prepare(self, token: str, assignment: Assignment) -> tuple[dict[str, str], dict[Part, int]]:
        """Get ready for a job; answers this process's kernels and how many rows each part has.

        Raises: StaleToken when a later lease was served here already.
        """
        if generation(token) < generation(self._token):
            raise StaleToken(f"lease {token} is over; this worker serves {self._token}")
        self._token = token
        self._computer = ShardComputer(assignment)
        self._parameters = Parameters(assignment.architecture)
        return self._fingerprint, {"train": self._computer.rows, "validation": self._computer.rows_of("validation")}

    def gradients(self, token: str, flat: NDArray[np.floating], step: Step, shards: list[int]) -> list[Partial]:
        """The gradient sums of these shards, as few complete subtrees as they make. Raises: StaleToken."""
        computer = self._take(token, flat)
        partials = []
        for lo, hi in complete_subtrees(shards, computer.assignment.shards):
            out = Parameters(computer.assignment.architecture)
            sums = computer.subtree(self._parameters, step, lo, hi, out)
            if sums is not None:
                partials.append(Partial(lo, hi, out.flat, sums))
        return partials

    def evaluate(self, token: str, flat: Array, part: Part, blocks: list[int]) -> list[tuple[int, BatchSums, Array]]:
        """The sums and outputs of these blocks of a part. Raises: StaleToken."""
        computer = self._take(token, flat)
        rows, width = computer.rows_of(part), computer.assignment.architecture.outputs
        answers = []
        for block in blocks:
            outputs = np.empty((len(range(rows)[block_rows(block)]), width), flat.dtype)
            answers.append((block, computer.evaluate(self._parameters, part, block, outputs), outputs))
        return answers

    def where(self) -> Place:
        """Where this process is."""
        return Place.here()

    def _take(self, token: str, flat: NDArray[np.floating]) -> ShardComputer:
        if token != self._token or self._computer is None:
            raise StaleToken(f"lease {token} is not the one that this worker serves")
        self._parameters.flat[...] = flat
        return self._computer
