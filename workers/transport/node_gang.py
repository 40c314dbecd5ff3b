"""The slots of one node that serve a job: this process computes on the first of them itself, the others are told.

All of them read the weights in shared memory, and each writes what it computes into a block of its own.
Who dies, or is silent for much too long, is left behind within the step: what it owed is computed by the rest, and
since the fixed tree is over the numbers of shards, the bits do not show who computed what. Knows no other nodes.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import structlog

from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Gathering
from workers.mlp.parameters import Parameters
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import shared_memory, waiting
from workers.transport.blocks import AnswerLayout, weights_in, weights_size
from workers.transport.messages import Hello, Order, Run
from workers.transport.peer import Peer, PeerLost
from workers.transport.tasks import EvaluateBlocks, SumGradients, Task

log = structlog.get_logger()

LOOK_S = 0.5  # patience is counted in looks of this length: a stop of this very process, or of the machine, costs one
JOIN_S = 600.0  # who has not joined by then does not


class Asked(NamedTuple):
    """What a peer was asked to compute."""

    peer: Peer
    units: Sequence[int]
    order: Order


class NodeGang:
    """Computes any shards of a step and any blocks of a part, with the weights in `weights`.

    Where the workers are to be `apart`, each reads a copy of its own: the weights as they were when it was told.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        token: str,
        assignment: Assignment,
        fingerprint: dict[str, str],
        *,
        apart: bool = False,
    ) -> None:
        self.computer = ShardComputer(assignment)
        self._hello = Hello(token, assignment, fingerprint)
        self._layout = AnswerLayout(assignment.architecture, assignment.shards, self.computer.rows_by_part)
        self._apart = apart
        self._block, self.weights = self._new_weights()
        self._joining: dict[Peer, float] = {}
        self.ready: list[Peer] = []  # those that compute when they are told
        self._own: list[Parameters] = []
        self._serial = 0
        self.change(slots)

    @property
    def workers(self) -> int:
        """How many compute, this process among them."""
        return 1 + len(self.ready)

    def change(self, slots: Sequence[Slot]) -> None:
        """Be these slots from now on, the first of them this process's own; who is new joins when it is ready."""
        wanted = list(slots[1:])
        for peer in [*self._joining, *self.ready]:
            if peer.slot in wanted:
                wanted.remove(peer.slot)
            else:  # a worker that took a dead one's place has its name, and serves at an address of its own
                self._leave(peer)
        for slot in wanted:
            self._join(slot)

    def admit(self, wait_s: float = 0.0) -> None:
        """Take in those that are ready by now, or within so many seconds."""
        deadline = time.monotonic() + wait_s
        while self._joining:
            for peer, since in list(self._joining.items()):
                self._admit(peer, since)
            left = deadline - time.monotonic()
            if left <= 0 or not self._joining:
                return
            poll = select.poll()
            for peer in self._joining:
                poll.register(peer.connection, select.POLLIN)
            poll.poll(left * 1000)

    def summing(self, step: Step, out: Parameters) -> SumGradients:
        """The task of a step; what this process computes first is summed into `out`."""
        return SumGradients(self.computer, self.weights, step, self._buffers(out))

    def evaluating(self, part: Part, gathering: Gathering) -> EvaluateBlocks:
        """The task of evaluating a part."""
        return EvaluateBlocks(self.computer, self.weights, part, gathering)

    def gathering(self, part: Part) -> Gathering:
        """Where a part's evaluation is gathered."""
        architecture = self._layout.architecture
        return Gathering(self.computer.rows_of(part), architecture.outputs, architecture.dtype)

    def do(self, task: Task, units: Sequence[int]) -> None:
        """Have every unit computed by somebody, once; what one that was lost owed is spread over the rest."""
        self.admit()
        while units:
            mine, *theirs = shares(units, [1] * self.workers)
            owed: list[int] = []
            asked = [
                self.tell(peer, share, task.part, task.step, task.runs(peer, share))
                for peer, share in zip(self.ready[:], theirs, strict=True)
                if share
            ]
            started = time.perf_counter()
            task.compute(mine)
            for one, answered in self._answers(asked, time.perf_counter() - started):
                if answered and one.peer.answers is not None:
                    task.take(one.peer.answers, one.order.runs)
                else:
                    owed.extend(one.units)
            units = sorted(owed)

    def tell(self, peer: Peer, units: Sequence[int], part: Part | None, step: Step, runs: tuple[Run, ...]) -> Asked:
        """Have a worker compute these units, which are these runs, with the weights as they are now."""
        if self._apart:
            peer.weights.flat[...] = self.weights.flat
        self._serial += 1
        order = Order(self._serial, part, step, runs)
        peer.tell(order)
        return Asked(peer, units, order)

    def hear(self, one: Asked) -> bool:
        """Whether a worker that has said something has answered; it is lost where it has not."""
        try:
            serial, took_s = one.peer.hear()
        except PeerLost as lost:
            self._lose(one.peer, str(lost))
            return False
        assert serial == one.order.serial, "a worker answers its orders one by one"
        one.peer.patience.learn(one.order.part, len(one.units), took_s)
        return True

    def end_if_silent(self, one: Asked, waited_s: float, like_s: float) -> bool:
        """Whether a worker has said nothing for much too long: it is ended, and lost. Units: `like_s` as `Patience`."""
        if waited_s < one.peer.patience.seconds(one.order.part, len(one.units), like_s):
            return False
        one.peer.kill()
        self._lose(one.peer, f"{one.peer.slot.name} was silent for {waited_s:g} s and was ended")
        return True

    def close(self) -> None:
        """Let all go."""
        for peer in [*self._joining, *self.ready]:
            self._leave(peer)
        if self._block >= 0:
            os.close(self._block)
            self._block = -1

    def _new_weights(self) -> tuple[int, Parameters]:
        """A block that only this process writes, to be handed on and closed, and the weights in it."""
        architecture = self._layout.architecture
        block, memory = shared_memory.create("deltaq-weights", weights_size(architecture), sealed=True)
        return block, weights_in(memory, architecture)

    def _join(self, slot: Slot) -> None:
        block, weights = self._new_weights() if self._apart else (self._block, self.weights)
        try:
            self._joining[Peer(slot, self._hello, block, weights, self._layout)] = time.monotonic()
        except PeerLost as lost:
            log.warning("a worker is left out", reason=str(lost))
        finally:
            if self._apart:
                os.close(block)

    def _answers(self, asked: Sequence[Asked], own_s: float) -> Iterator[tuple[Asked, bool]]:
        """Each of those asked, as it answers or is lost."""
        silent = {one.peer.connection.fileno(): one for one in asked}
        poll = select.poll()
        for descriptor in silent:
            poll.register(descriptor, select.POLLIN)
        waited_s = 0.0
        while silent:
            ready = waiting.ready(poll, LOOK_S)
            for descriptor in ready:
                one = silent.pop(descriptor)
                poll.unregister(descriptor)
                yield one, self.hear(one)
            if ready:
                continue
            waited_s += LOOK_S
            for descriptor, one in list(silent.items()):
                if self.end_if_silent(one, waited_s, own_s):
                    del silent[descriptor]
                    poll.unregister(descriptor)
                    yield one, False

    def _admit(self, peer: Peer, since: float) -> None:
        try:
            if peer.ready:
                self.ready.append(peer)
            elif time.monotonic() - since < JOIN_S:
                return
            else:
                self._lose(peer, f"{peer.slot.name} did not join within {JOIN_S:g} s")
        except PeerLost as lost:
            self._lose(peer, str(lost))
        self._joining.pop(peer, None)

    def _lose(self, peer: Peer, reason: str) -> None:
        log.warning("a worker is lost", reason=reason)
        self._leave(peer)

    def _leave(self, peer: Peer) -> None:
        self._joining.pop(peer, None)
        if peer in self.ready:
            self.ready.remove(peer)
        peer.close()

    def _buffers(self, out: Parameters) -> Iterator[Parameters]:
        """Where this process's own sums go, one after the other: memory that is used again in each step."""
        yield out
        for number in range(self.computer.assignment.shards):
            if number == len(self._own):
                self._own.append(Parameters(self.computer.assignment.architecture))
            yield self._own[number]


def shares(units: Sequence[int], weights: Sequence[int]) -> list[Sequence[int]]:
    """Cut units into a run of neighbours for each, in proportion to the weights: most are complete subtrees."""
    bounds, total = [0], sum(weights)
    for weight in weights:
        bounds.append(bounds[-1] + weight)
    cuts = [len(units) * bound // total for bound in bounds]
    return [units[lo:hi] for lo, hi in pairwise(cuts)]
