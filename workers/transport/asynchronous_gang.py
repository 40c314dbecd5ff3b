"""The transport of the asynchronous modes: a gang whose workers take whole mini-batches, each at its own pace.

Who asks says which mini-batch is next and when its gradient is used; this finds a worker for it. What a lost worker
owed is said, so that it can be asked for again. Between two of the parameter server's answers nothing is changed.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from workers.batches import Step
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Slot
from workers.shard_computer import Assignment
from workers.transport.asynchronous_workers import AsynchronousWorker, FarWorker, Left, NearWorker, OwnWorker
from workers.transport.gang import Gang
from workers.transport.node_gang import LOOK_S
from workers.transport.peer import Peer
from workers.transport.ray_nodes import RayNode


class Arrival(NamedTuple):
    """A mini-batch's gradient sums; they are good, and their worker is told nothing, until they are released."""

    step: Step
    sums: BatchSums
    gradient: Parameters
    worker: AsynchronousWorker


class Lost(NamedTuple):
    """A mini-batch that was given to a worker that is lost."""

    step: Step


@dataclass
class _Given:
    """What a worker was told, and how long ago: in seconds in which this process looked."""

    step: Step
    waited_s: float = 0.0


class AsynchronousGang(Gang):
    """Serves one job of whole mini-batches under the lease `token`; `slots[0]` is this process's own."""

    def __init__(self, slots: Sequence[Slot], token: str, assignment: Assignment, fingerprint: dict[str, str]) -> None:
        super().__init__(slots, token, assignment, fingerprint, apart=True)
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._own = OwnWorker(self._near.computer, self._ring)
        self._others: dict[Peer | RayNode, AsynchronousWorker] = {}
        self._given: dict[AsynchronousWorker, _Given] = {}
        self._kept: set[AsynchronousWorker] = set()  # what they have computed is not released yet
        self._looked = time.monotonic()

    def start(self, step: Step) -> bool:
        """Have a worker compute this mini-batch with the weights as they are now; False where none is idle."""
        self._near.admit()
        self._far.admit()
        worker = next((one for one in self._present() if one not in self._given and one not in self._kept), None)
        if worker is None:
            return False
        self._given[worker] = _Given(step)
        worker.tell(step, self.weights)
        self.most_workers = max(self.most_workers, self.workers)
        return True

    def wait(self) -> list[Arrival | Lost]:
        """What has come of those that were started, at least one of them.

        Raises: what the computing itself raised.
        """
        assert self._given, "somebody computes"
        while not (news := self._look()):
            pass
        return news

    def release(self, arrival: Arrival) -> None:
        """Its sums are not needed any more."""
        self._kept.discard(arrival.worker)

    def change(self, slots: Sequence[Slot]) -> None:
        """Be served by these slots from now on; what one that goes was told is `Lost`."""
        super().change(slots)
        self._ring()

    def close(self) -> None:
        """Let all go."""
        self._own.close()
        super().close()
        self._bell.close()
        self._ringer.close()

    def _present(self) -> list[AsynchronousWorker]:
        """Who serves now."""
        for peer in self._near.ready:
            if peer not in self._others:
                self._others[peer] = NearWorker(peer, self._near)
        for node in self._far.ready:
            if node not in self._others:
                self._others[node] = FarWorker(node, self._far, self._ring)
        present = {*self._near.ready, *self._far.ready}
        self._others = {key: worker for key, worker in self._others.items() if key in present}
        return [self._own, *self._others.values()]

    def _look(self) -> list[Arrival | Lost]:
        """Wait for a while; answers what has come by then."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for worker in self._given:
            if worker.descriptor is not None:
                poll.register(worker.descriptor, select.POLLIN)
        readable = {descriptor for descriptor, _ in poll.poll(LOOK_S * 1000)}
        if self._bell.fileno() in readable:
            with suppress(BlockingIOError):
                self._bell.recv(4096)
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, LOOK_S), now  # a stop of this very process costs one look
        return [news for worker in list(self._given) if (news := self._hear(worker, readable, passed))]

    def _hear(self, worker: AsynchronousWorker, readable: set[int], passed_s: float) -> Arrival | Lost | None:
        given = self._given[worker]
        given.waited_s += passed_s
        try:
            if not worker.has_answered(readable):
                worker.check(given.waited_s, self._own.took_s)
                return None
            sums, gradient = worker.hear(given.waited_s)
        except Left:
            del self._given[worker]
            return Lost(given.step)
        del self._given[worker]
        self._kept.add(worker)
        return Arrival(given.step, sums, gradient, worker)

    def _ring(self) -> None:
        with suppress(OSError):  # it is heard when the bell has rung already, and by nobody when all is closed
            self._ringer.send(b"!")
