"""The actor on a slot: it serves a gang of its node, or leads its node for a parameter server on another.

It obeys only the job whose token it was last given, and never an older one. Knows neither Redis nor the queue.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers import kernels, logs
from workers.batches import Step
from workers.datafiles import Part
from workers.mlp.arrays import Array
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Place, Slot
from workers.shard_computer import Assignment, Partial
from workers.summation import combine_subtrees, complete_subtrees
from workers.tokens import StaleToken, TokenGuard
from workers.transport.node_gang import NodeGang
from workers.transport.serving import GangServer

JOIN_S = 2.0  # how long a leader waits for the rest of its node before it says how many they are


class GradientWorker:
    """Serves one job at a time, the one whose lease is the latest.

    `log_level` is for a process of its own, whose log this configures.
    """

    def __init__(self, log_level: str | None = None) -> None:
        kernels.check()
        if log_level is not None:
            logs.configure(log_level)
        self._fingerprint = kernels.fingerprint()
        self._guard = TokenGuard()
        self._server = GangServer(self._guard, self._fingerprint)
        self._gang: NodeGang | None = None

    def where(self) -> Place:
        """Where this process is."""
        return Place.here(self._server.address)

    # As the leader of its node

    def lead(self, token: str, assignment: Assignment, fingerprint: dict[str, str], slots: Sequence[Slot]) -> int:
        """Get ready to compute on these slots of this node, the first of them one's own; answers how many are ready.

        Raises: StaleToken when a later lease was served here already, or this process computes with other kernels.
        """
        if fingerprint != self._fingerprint:
            raise StaleToken("this worker computes with other numeric kernels than the job's")
        self._guard.take(token)
        self._drop()
        self._gang = NodeGang(slots, token, assignment, fingerprint)
        self._out = Parameters(assignment.architecture)
        self._gang.admit(JOIN_S)
        return self._gang.workers

    def follow(self, token: str, slots: Sequence[Slot]) -> int:
        """Be these slots from now on; answers how many are ready. Raises: StaleToken."""
        gang = self._led(token)
        gang.change(slots)
        gang.admit(JOIN_S)
        return gang.workers

    def gradients(self, token: str, flat: NDArray[np.floating], step: Step, shards: Sequence[int]) -> list[Partial]:
        """The gradient sums of these shards, as few complete subtrees as they make. Raises: StaleToken."""
        gang = self._led(token)
        gang.weights.flat[...] = flat
        task = gang.summing(step, self._out)
        gang.do(task, shards)
        sums = {(partial.lo, partial.hi): partial for partial in task.partials}
        trees = complete_subtrees(shards, gang.computer.assignment.shards)
        return [whole for lo, hi in trees if (whole := combine_subtrees(sums, lo, hi, Partial.plus)) is not None]

    def evaluate(
        self, token: str, flat: Array, part: Part, blocks: Sequence[int]
    ) -> list[tuple[int, BatchSums, Array]]:
        """The sums and outputs of these blocks of a part. Raises: StaleToken."""
        gang = self._led(token)
        gang.weights.flat[...] = flat
        gathering = gang.gathering(part)
        gang.do(gang.evaluating(part, gathering), blocks)
        return [(block, gathering.sums_of(block), gathering.rows_of(block)) for block in blocks]

    def dismiss(self, token: str) -> None:
        """Drop all that was had for this lease."""
        if token == self._guard.token:
            self._drop()

    def _led(self, token: str) -> NodeGang:
        self._guard.check(token)
        if self._gang is None:
            raise StaleToken(f"lease {token} was dismissed here")
        return self._gang

    def _drop(self) -> None:
        if self._gang is not None:
            self._gang.close()
            self._gang = None
