"""The nodes other than the parameter server's, asked through Ray: one worker of each leads the slots of its node.

The weights go out as one object for all; each node answers with the sums of complete subtrees. A node that is dead, or
says nothing for much longer than it did before, is left behind within the step. Knows no shared memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import ray
import structlog
from ray.exceptions import RayError, RayTaskError

from workers.batches import Step
from workers.datafiles import Part
from workers.mlp.parameters import Parameters
from workers.place import Slot
from workers.shard_computer import Assignment
from workers.tokens import StaleToken
from workers.transport.patience import Patience
from workers.transport.tasks import Task

log = structlog.get_logger()

LEAST_S = 10.0  # the network, and Ray, may be that slow


class NodeLost(Exception):
    """It is dead, or serves a later lease: the rest goes on without it."""


class RayNode:
    """One other node; `slots[0]` leads. It has no workers until it has joined.

    Raises at construction: NodeLost when the leading worker is not there.
    """

    def __init__(self, slots: Sequence[Slot], token: str, assignment: Assignment, fingerprint: dict[str, str]) -> None:
        self.slots = list(slots)
        self.workers = 0
        self.patience = Patience(LEAST_S)
        self._token = token
        try:
            self._leader = ray.get_actor(slots[0].name)
        except ValueError as gone:  # it died and its name is free
            raise NodeLost(str(gone)) from gone
        self._news: Any = self._leader.lead.remote(token, assignment, fingerprint, self.slots)

    def look(self) -> None:
        """Hear how many workers it has by now. Raises: NodeLost."""
        if self._news is not None and ray.wait([self._news], timeout=0)[0]:
            call, self._news = self._news, None
            self.workers = answer_of(call)

    def follow(self, slots: Sequence[Slot]) -> None:
        """Be these slots from now on; the leading one is the same."""
        self.slots = list(slots)
        self._news = self._leader.follow.remote(self._token, self.slots)

    def ask(self, part: Part | None, step: Step, weights: Any, units: Sequence[int]) -> Any:
        """Have it compute, with weights as they are now; answers the call."""
        if part is None:
            return self._leader.gradients.remote(self._token, weights, step, list(units))
        return self._leader.evaluate.remote(self._token, weights, part, list(units))

    def dismiss(self) -> None:
        """Let it go."""
        self._leader.dismiss.remote(self._token)


class Asked(NamedTuple):
    """What a node was asked to compute, and when."""

    node: RayNode
    units: Sequence[int]
    call: Any
    at: float


class RayNodes:
    """The other nodes that serve a job under `token`; none of them is waited for until it has joined."""

    def __init__(
        self, nodes: Sequence[Sequence[Slot]], token: str, assignment: Assignment, fingerprint: dict[str, str]
    ) -> None:
        self.architecture = assignment.architecture
        self._given = (token, assignment, fingerprint)
        self._nodes: list[RayNode] = []
        self.change(nodes)

    @property
    def ready(self) -> list[RayNode]:
        """Those that have joined."""
        return [node for node in self._nodes if node.workers]

    @property
    def counts(self) -> list[int]:
        """How many workers each node has."""
        return [node.workers for node in self._nodes]

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return sum(self.counts)

    def change(self, nodes: Sequence[Sequence[Slot]]) -> None:
        """Be these from now on, each a list of slots whose first one leads."""
        wanted = {slots[0]: list(slots) for slots in nodes}
        for node in list(self._nodes):
            slots = wanted.pop(node.slots[0], None)
            if slots is None:
                self._nodes.remove(node)
                node.dismiss()
            elif slots != node.slots:
                node.follow(slots)
        for slots in wanted.values():
            self._join(slots)

    def admit(self) -> None:
        """Take in those that are ready by now."""
        for node in list(self._nodes):
            try:
                node.look()
            except NodeLost as lost:
                self.lose(node, str(lost))

    def ask(self, task: Task, weights: Parameters, shares: Sequence[Sequence[int]]) -> list[Asked]:
        """Have each node compute its share."""
        if not any(shares):
            return []
        sent = ray.put(weights.flat)
        pairs = zip(self._nodes, shares, strict=True)
        return [
            Asked(node, share, node.ask(task.part, task.step, sent, share), time.monotonic())
            for node, share in pairs
            if share
        ]

    def hear(self, asked: Sequence[Asked], task: Task) -> list[int]:
        """Take what the nodes answer; answers the units of those that are lost.

        Raises: what the computing itself raised there.
        """
        owed: list[int] = []
        for one in asked:
            try:
                task.add(self._heard(one, task))
            except NodeLost as lost:
                self.lose(one.node, str(lost))
                owed.extend(one.units)
        return sorted(owed)

    def lose(self, node: RayNode, reason: str) -> None:
        """Go on without its leader; the other slots of the node, if it lives, join under another one."""
        log.warning("a node is lost", leader=node.slots[0].name, reason=reason)
        self._nodes.remove(node)
        if len(node.slots) > 1:
            self._join(node.slots[1:])

    def close(self) -> None:
        """Let all go."""
        self.change([])

    def _heard(self, one: Asked, task: Task) -> Any:
        since = time.monotonic() - one.at
        seconds = one.node.patience.seconds(task.part, len(one.units), since)
        if not ray.wait([one.call], timeout=seconds)[0]:
            raise NodeLost(f"no answer within {seconds:g} s")
        answer = answer_of(one.call)
        one.node.patience.learn(task.part, len(one.units), time.monotonic() - one.at)
        return answer

    def _join(self, slots: Sequence[Slot]) -> None:
        try:
            self._nodes.append(RayNode(slots, *self._given))
        except NodeLost as lost:
            log.warning("a node is left out", leader=slots[0].name, reason=str(lost))


def answer_of(call: Any) -> Any:
    """What a call answers.

    Raises: NodeLost when its worker, its node or its answer is lost, or it serves another lease; else what it raised.
    """
    try:
        return ray.get(call)
    except RayTaskError as error:
        if isinstance(error.cause, StaleToken):
            raise NodeLost(str(error.cause)) from error
        raise
    except RayError as error:
        raise NodeLost(str(error).splitlines()[0]) from error
