"""The actors of the pool: as many runners as workers on each node; started, watched, and replaced.

They outlive the scheduler. Their names carry deltaq's version and their node, so that a scheduler finds those of its
own version again and ends another's. Nodes that join are used, and the actors of nodes that leave are buried. Knows
what an actor serves only as far as not to end one that serves.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import ray
import structlog

from service import actors, pool_size
from service.member import FRESH_S, Backoff, Member
from service.runner import Runner
from service.settings import Settings
from workers.gradient_worker import GradientWorker
from workers.transport.connecting import connect

log = structlog.get_logger()

RUNNER_CALLS = 8  # at once: its job, and what it is asked meanwhile
NODES_S = 0.25  # how often Ray is asked for them
NODE_DIGITS = 12  # of a node's id, in the names of its actors


class Crew:
    """The workers and runners of this version by name; another version's are drained and ended first.

    `arrived` is told of each that answers for the first time, `gone` of each that is here no more.
    """

    def __init__(
        self, settings: Settings, epoch: int, arrived: Callable[[Member], None], gone: Callable[[Member, str], None]
    ) -> None:
        self._settings = settings
        self._arrived, self._gone = arrived, gone
        self._prefix = f"deltaq-{metadata.version('deltaq')}-"
        self._backoffs: dict[str, Backoff] = {}
        self._looked = time.monotonic()
        self._asked_nodes = -math.inf
        self.nodes: list[dict[str, Any]] = []
        self.workers: dict[str, Member] = {}
        self.runners: dict[str, Member] = {}
        self.of_use = 0  # so many workers could serve what runs and what waits
        actors.retire("deltaq-", self._prefix, epoch, settings.drain_s)
        self._look_at_nodes()
        self._adopt()

    @property
    def capacity(self) -> int:
        """How many workers there may be."""
        return pool_size.limited(sum(self._slots.values()), self._settings.pool_max)

    def stands(self, node: str) -> bool:
        """Whether this node is there, now."""
        self._asked_nodes = -math.inf
        self._look_at_nodes()
        return node in self._slots

    @property
    def problems(self) -> list[str]:
        """What could not be started, and why."""
        return [f"{name} cannot start: {backoff.reason}" for name, backoff in sorted(self._backoffs.items())]

    def refresh(self) -> None:
        """Start what is missing, bury what is dead, and replace what is silent or has grown."""
        self._forgive_own_absence()
        self._look_at_nodes()
        self._start_missing()
        watches = {member.watch: member for member in self._members() if member.watch is not None}
        for call in actors.answered(watches):
            self._hear(watches[call], call)
        for member in self._members():
            if member.due:
                member.ask()
            if member.silent:
                self.end(member, "it did not answer")
            elif member.idle and member.grown_bytes > self._settings.max_growth_bytes:
                self.end(member, f"it had grown by {member.grown_bytes} bytes")
        self._end_idle()

    def end(self, member: Member, reason: str) -> None:
        """End an actor; the next look starts another where one is missing."""
        ray.kill(member.actor)
        self.bury(member, reason)

    def bury(self, member: Member, reason: str) -> None:
        """It is here no more."""
        members = self.workers if self.workers.get(member.name) is member else self.runners
        if members.get(member.name) is not member:
            return
        log.warning("actor ended", actor=member.name, reason=reason)
        if member.place is None and member.node in self._slots:  # it never stood: do not start it again at once
            self._backoffs.setdefault(member.name, Backoff(reason)).fail(reason)
        del members[member.name]
        self._gone(member, reason)

    @property
    def _wanted(self) -> int:
        """How many workers there should be now."""
        given = self._settings
        return pool_size.total(sum(self._slots.values()), given.pool_min, given.pool_max, self.of_use)

    def _members(self) -> list[Member]:
        return [*self.workers.values(), *self.runners.values()]

    def _forgive_own_absence(self) -> None:
        """After a stop of this very process, nobody has been silent."""
        now = time.monotonic()
        if now - self._looked > FRESH_S:
            for member in self._members():
                member.watched = now
        self._looked = now

    def _look_at_nodes(self) -> None:
        if time.monotonic() - self._asked_nodes < NODES_S:
            return
        self._asked_nodes = time.monotonic()
        self.nodes = actors.nodes()
        self._slots = {node["id"]: node["slots"] for node in self.nodes if node["alive"]}
        here = {node[:NODE_DIGITS] for node in self._slots}
        self._backoffs = {name: backoff for name, backoff in self._backoffs.items() if _node_of(name) in here}

    def _adopt(self) -> None:
        """Take over those that are here already."""
        nodes = {node[:NODE_DIGITS]: node for node in self._slots}
        for name in actors.named(self._prefix):
            node, actor = nodes.get(_node_of(name)), actors.find(name)
            if node is not None and actor is not None:
                members = self.runners if name.startswith(f"{self._prefix}runner-") else self.workers
                members[name] = Member(name, node, actor, known=members is self.workers)
                members[name].ask()

    def _start_missing(self) -> None:
        started = Counter(worker.node for worker in self.workers.values())
        for node, count in pool_size.shares(self._slots, started, self._wanted).items():
            for name in self._missing("worker", self.workers, node, count):
                self._start(self.workers, name, node, GradientWorker, self._settings.log_level, num_cpus=1)
            for name in self._missing("runner", self.runners, node, count):
                options = {"num_cpus": 0, "max_concurrency": RUNNER_CALLS}
                self._start(self.runners, name, node, Runner, self._settings, connect, **options)

    def _missing(self, kind: str, members: Mapping[str, Member], node: str, count: int) -> list[str]:
        """The names of those that are to be started now."""
        names = [f"{self._prefix}{kind}-{node[:NODE_DIGITS]}-{number}" for number in range(self._slots[node])]
        absent = [name for name in names if name not in members]
        missing = absent[: max(0, count - (len(names) - len(absent)))]
        return [name for name in missing if name not in self._backoffs or not self._backoffs[name].waits]

    def _start(
        self, members: dict[str, Member], name: str, node: str, kind: type, *arguments: Any, **options: Any
    ) -> None:
        members[name] = Member(name, node, actors.make(kind, name, node, *arguments, **options))
        members[name].ask()

    def _hear(self, member: Member, call: Any) -> None:
        try:
            place = ray.get(call)
        except actors.GONE as death:
            self.bury(member, actors.reason_of(death))
            return
        first = member.place is None
        member.hear(place)
        self._backoffs.pop(member.name, None)
        if first:
            self._arrived(member)

    def _end_idle(self) -> None:
        """End workers that have been of no use for long, or are too many, and as many runners on their nodes."""
        standing = [worker for worker in self.workers.values() if worker.node in self._slots]
        standing.sort(key=lambda worker: worker.idle_s, reverse=True)
        too_many = len(standing) - self.capacity
        for number, worker in enumerate(standing[: max(0, len(standing) - self._wanted)]):
            if worker.idle and (number < too_many or worker.idle_s > self._settings.pool_idle_s):
                self.end(worker, "it is of no use now")
                self._end_idle_runner(worker.node)

    def _end_idle_runner(self, node: str) -> None:
        idle = [runner for runner in self.runners.values() if runner.node == node and runner.idle]
        if idle:
            self.end(idle[-1], "it is of no use now")


def _node_of(name: str) -> str:
    """The first digits of the id of an actor's node."""
    return name.rsplit("-", 2)[1]
