"""The transport that needs none: one slot, all shards computed in the caller's own process."""

from __future__ import annotations

from workers.batches import Step
from workers.gradient_worker import ShardComputer
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.summation import combine


class LocalTransport:
    """Computes every shard and every evaluation block itself."""

    workers = 1

    def __init__(self, computer: ShardComputer) -> None:
        self._computer = computer

    def gradient(self, parameters: Parameters, step: Step, out: Parameters) -> BatchSums:
        """Sum one mini-batch's gradients into `out`."""
        sums = self._computer.subtree(parameters, step, 0, self._computer.assignment.shards, out)
        assert sums is not None, "a mini-batch has at least one row"
        return sums

    def evaluate(self, parameters: Parameters) -> BatchSums | None:
        """The validation part's sums."""
        blocks = self._computer.blocks
        return combine(
            {block: self._computer.evaluate(parameters, block) for block in range(blocks)}, 0, blocks, BatchSums.plus
        )
