"""Workers that take whole mini-batches, each at its own pace: this process, one of its node, one of another node.

Each computes with a copy of the weights as they were when it was told, so that it never reads what is being changed.
Knows not which mini-batch is whose turn, nor what becomes of a gradient.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Container
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

import ray

from workers.batches import Step
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.shard_computer import ShardComputer
from workers.transport.messages import Run
from workers.transport.node_gang import Asked, NodeGang
from workers.transport.peer import Peer
from workers.transport.ray_nodes import NodeLost, RayNode, RayNodes, answer_of

WHOLE = (Run(0, 1),)  # a mini-batch that is not cut: its one shard


class Left(Exception):
    """The worker is lost, or serves the job no more; what it was told to compute is still to be done."""


class Summed(NamedTuple):
    """A mini-batch's sums; they are good until their worker is told again."""

    sums: BatchSums
    gradient: Parameters


class AsynchronousWorker(Protocol):
    """Computes one mini-batch at a time. Units: `waited_s` since it was told, `like_s` what another one took."""

    descriptor: int | None
    """What becomes readable when it has answered; None where it rings the bell."""

    def tell(self, step: Step, weights: Parameters) -> None:
        """Have it compute a mini-batch with these weights."""

    def has_answered(self, readable: Container[int]) -> bool:
        """Whether there is something to hear; of descriptors, these are readable."""

    def hear(self, waited_s: float) -> Summed:
        """What it has computed. Raises: Left; what the computing raised."""

    def check(self, waited_s: float, like_s: float) -> None:
        """Raises: Left, when it is not to be waited for any more."""


class OwnWorker:
    """A thread of this process: while it multiplies matrices, the parameter server's thread runs beside it."""

    descriptor: int | None = None

    def __init__(self, computer: ShardComputer, ring: Callable[[], None]) -> None:
        architecture = computer.assignment.architecture
        self.took_s = math.inf  # for the last mini-batch
        self._computer, self._ring = computer, ring
        self._weights, self._gradient = Parameters(architecture), Parameters(architecture)
        self._told: SimpleQueue[Step | None] = SimpleQueue()
        self._found: BatchSums | BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="own mini-batches", daemon=True)
        self._thread.start()

    def tell(self, step: Step, weights: Parameters) -> None:
        """Have it compute a mini-batch."""
        self._weights.flat[...] = weights.flat
        self._told.put(step)

    def has_answered(self, readable: Container[int]) -> bool:
        """Whether the thread is done."""
        return self._found is not None

    def hear(self, waited_s: float) -> Summed:
        """What it has computed. Raises: what the computing raised."""
        found, self._found = self._found, None
        if isinstance(found, BaseException):
            raise found
        assert found is not None, "a mini-batch has at least one row"
        return Summed(found, self._gradient)

    def check(self, waited_s: float, like_s: float) -> None:
        """It is never lost."""

    def close(self) -> None:
        """End the thread, once it has computed what it was told."""
        self._told.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (step := self._told.get()) is not None:
            started = time.perf_counter()
            try:
                self._found = self._computer.subtree(self._weights, step, 0, 1, self._gradient)
            except BaseException as error:
                self._found = error
            self.took_s = time.perf_counter() - started
            self._ring()


class NearWorker:
    """One of this process's node, in shared memory."""

    def __init__(self, peer: Peer, gang: NodeGang) -> None:
        self.descriptor: int | None = peer.connection.fileno()
        self._peer, self._gang = peer, gang
        self._asked: Asked | None = None

    def tell(self, step: Step, weights: Parameters) -> None:
        """Have it compute a mini-batch; `weights` are those of its gang."""
        self._asked = self._gang.tell(self._peer, [0], None, step, WHOLE)

    def has_answered(self, readable: Container[int]) -> bool:
        """Whether it has said something, or died."""
        return self.descriptor in readable

    def hear(self, waited_s: float) -> Summed:
        """What it has computed. Raises: Left, PeerFailed."""
        assert self._asked is not None
        if not self._gang.hear(self._asked) or self._peer.answers is None:
            raise Left
        sums = self._peer.answers.sums(0)
        assert sums is not None, "a mini-batch has at least one row"
        return Summed(sums, self._peer.answers.gradient(0))

    def check(self, waited_s: float, like_s: float) -> None:
        """Raises: Left, when it is of its gang no more, or has said nothing for much too long and was ended."""
        assert self._asked is not None
        if self._peer not in self._gang.ready or self._gang.end_if_silent(self._asked, waited_s, like_s):
            raise Left


class FarWorker:
    """One of another node, asked through Ray."""

    descriptor: int | None = None

    def __init__(self, node: RayNode, nodes: RayNodes, ring: Callable[[], None]) -> None:
        self._node, self._nodes, self._ring = node, nodes, ring
        self._call: Any = None
        self._gradient: Parameters | None = None

    def tell(self, step: Step, weights: Parameters) -> None:
        """Have it compute a mini-batch."""
        self._call = self._node.ask(None, step, weights.flat, [0])
        self._call.future().add_done_callback(lambda _: self._ring())

    def has_answered(self, readable: Container[int]) -> bool:
        """Whether the call is done, or failed."""
        return bool(ray.wait([self._call], timeout=0)[0])

    def hear(self, waited_s: float) -> Summed:
        """What it has computed. Raises: Left, or what the computing raised."""
        try:
            (whole,) = answer_of(self._call)
        except NodeLost as lost:
            self._nodes.lose(self._node, str(lost))
            raise Left from lost
        self._node.patience.learn(None, 1, waited_s)
        if self._gradient is None:
            self._gradient = Parameters(self._nodes.architecture)
        self._gradient.flat[...] = whole.gradient  # Ray's own memory cannot be added to
        return Summed(whole.sums, self._gradient)

    def check(self, waited_s: float, like_s: float) -> None:
        """Raises: Left, when it serves the job no more, or has said nothing for much too long."""
        if self._node not in self._nodes.ready:
            raise Left
        seconds = self._node.patience.seconds(None, 1, like_s)
        if waited_s >= seconds:
            self._nodes.lose(self._node, f"no answer within {seconds:g} s")
            raise Left
