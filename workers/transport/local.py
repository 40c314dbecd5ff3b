"""The transport that needs none: one slot, all shards computed in the caller's own process, of a population too."""

from __future__ import annotations

from collections.abc import Sequence

from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Evaluation, Gathering
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer


class LocalTransport:
    """Computes every shard and every evaluation block itself."""

    workers = most_workers = 1

    def __init__(self, computer: ShardComputer) -> None:
        self.weights = Parameters(computer.assignment.architecture, computer.assignment.networks)
        self._computer = computer
        self._gatherings: dict[Part, Gathering] = {}

    @property
    def assignment(self) -> Assignment:
        """What it computes."""
        return self._computer.assignment

    def gradient(self, step: Step, out: Parameters) -> BatchSums:
        """Sum one mini-batch's gradients into `out`."""
        sums = self._computer.subtree(self.weights, step, 0, self._computer.assignment.shards, out)
        assert sums is not None, "a mini-batch has at least one row"
        return sums

    def evaluate(self, part: Part = "validation") -> Evaluation | None:
        """A part's sums and outputs."""
        gathering = self._gatherings.get(part)
        if gathering is None:
            shape, rows, networks = self.weights.architecture, self._computer.rows_of(part), self.weights.networks
            gathering = self._gatherings[part] = Gathering(rows, shape.outputs, shape.dtype, networks)
        for block in range(gathering.blocks):
            gathering.add(block, self._computer.evaluate(self.weights, part, block, gathering.rows_of(block)))
        return gathering.whole()

    def change(self, slots: Sequence[Slot]) -> None:
        """Nothing changes: the caller's own slot is enough."""

    def close(self) -> None:
        """There is nobody to let go."""
