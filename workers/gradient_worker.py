"""The actor round a `ShardComputer`: it obeys only the job whose token it was last given, and never an older one.

Knows neither Redis nor the queue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers import kernels
from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import block_rows
from workers.mlp.arrays import Array
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Place
from workers.shard_computer import Assignment, Partial, ShardComputer
from workers.summation import complete_subtrees


class StaleToken(Exception):
    """The caller's lease is not the one that this worker serves."""


def generation(token: str) -> int:
    """The counter of a fencing token `<counter>-<random>`; 0 for none."""
    return int(token.partition("-")[0] or 0)


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
