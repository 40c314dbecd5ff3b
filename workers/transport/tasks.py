"""What the slots of a node do together: a step's gradients, or the evaluation of a part. Knows not who does which unit.

A task has units (shards, blocks of rows); any slot can compute any of them, and each is computed once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Gathering
from workers.mlp.parameters import Parameters
from workers.shard_computer import Partial, ShardComputer
from workers.summation import complete_subtrees
from workers.transport.blocks import AnswerBlock
from workers.transport.messages import Run


class Task(Protocol):
    """How units are computed here, and asked for and taken from elsewhere."""

    part: Part | None
    step: Step

    def compute(self, units: Sequence[int]) -> None:
        """Compute these in this process."""

    def runs(self, worker: Hashable, units: Sequence[int]) -> tuple[Run, ...]:
        """These units as a worker is told of them."""

    def take(self, answers: AnswerBlock, runs: Sequence[Run]) -> None:
        """Take what a worker of this node has computed."""

    def add(self, answer: Any) -> None:
        """Take what another node has computed, as its leader answers."""


class SumGradients:
    """The sums of a step's shards, as few complete subtrees as they make, in `partials`.

    Their gradients are good until the next step, and may be added to in place.
    """

    part: Part | None = None

    def __init__(self, computer: ShardComputer, weights: Parameters, step: Step, buffers: Iterator[Parameters]) -> None:
        self.step = step
        self.partials: list[Partial] = []
        self._computer, self._weights, self._buffers = computer, weights, buffers
        self._slots: dict[Hashable, int] = {}  # how many each worker has been told to fill

    def compute(self, units: Sequence[int]) -> None:
        """Sum up these shards' gradients, each subtree into the next buffer."""
        for lo, hi in complete_subtrees(units, self._computer.assignment.shards):
            buffer = next(self._buffers)
            sums = self._computer.subtree(self._weights, self.step, lo, hi, buffer)
            if sums is not None:
                self.partials.append(Partial(lo, hi, buffer.flat, sums))

    def runs(self, worker: Hashable, units: Sequence[int]) -> tuple[Run, ...]:
        """The shards as complete subtrees, each with a slot that the worker has not filled in this step."""
        first = self._slots.get(worker, 0)
        trees = complete_subtrees(units, self._computer.assignment.shards)
        self._slots[worker] = first + len(trees)
        return tuple(Run(lo, hi, slot) for slot, (lo, hi) in enumerate(trees, start=first))

    def take(self, answers: AnswerBlock, runs: Sequence[Run]) -> None:
        """Take the sums of subtrees as they lie in the worker's block."""
        for lo, hi, slot in runs:
            sums = answers.sums(slot)
            if sums is not None:
                self.partials.append(Partial(lo, hi, answers.gradient(slot).flat, sums))

    def add(self, answer: Any) -> None:
        """Take the sums of subtrees."""
        self.partials.extend(answer)


class EvaluateBlocks:
    """The outputs and sums of a part's blocks, in `gathering`."""

    step = Step(0, 0)

    def __init__(self, computer: ShardComputer, weights: Parameters, part: Part, gathering: Gathering) -> None:
        self.part: Part | None = part
        self._of = part
        self._computer, self._weights, self._gathering = computer, weights, gathering

    def compute(self, units: Sequence[int]) -> None:
        """Evaluate these blocks in place."""
        for block in units:
            outputs = self._gathering.rows_of(block)
            self._gathering.add(block, self._computer.evaluate(self._weights, self._of, block, outputs))

    def runs(self, worker: Hashable, units: Sequence[int]) -> tuple[Run, ...]:
        """The blocks as runs of neighbours."""
        cuts = [at for at, (one, other) in enumerate(pairwise(units), start=1) if other != one + 1]
        return tuple(Run(units[lo], units[hi - 1] + 1) for lo, hi in pairwise([0, *cuts, len(units)]))

    def take(self, answers: AnswerBlock, runs: Sequence[Run]) -> None:
        """Copy the outputs to where they belong."""
        for lo, hi, _ in runs:
            for block in range(lo, hi):
                sums = answers.sums(block)
                assert sums is not None  # a block has a row
                self._gathering.rows_of(block)[...] = answers.outputs[self._computer.rows_of_block(self._of, block)]
                self._gathering.add(block, sums)

    def add(self, answer: Any) -> None:
        """Copy the outputs to where they belong."""
        for block, sums, outputs in answer:
            self._gathering.rows_of(block)[...] = outputs
            self._gathering.add(block, sums)
