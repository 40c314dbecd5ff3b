"""One actor of the pool, as far as it is known: whether it stands, what it serves, how much it has grown.

Knows no Ray: its calls are whatever the actor gives.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from service.jobs import Lease
from workers.place import Place, Slot

ANSWER_S = 10.0  # an idle actor that says nothing for so long is silent
ASK_S = 0.3  # how long after an answer it is asked again
FRESH_S = 3.0  # one that answered within this time is there


@dataclass(eq=False)
class Member:
    """A worker or a runner."""

    name: str
    node: str
    actor: Any
    watch: Any = None  # a call that asks where it is, if it is asked: by its answer it lives, by its error it has died
    watched: float = field(default_factory=time.monotonic)  # when that was asked, or it became free since
    answered: float = 0.0
    place: Place | None = None  # None until it has answered once: it is starting
    lease: Lease | None = None  # what it serves
    leases: tuple[Lease, ...] = ()  # of a runner: that, and those of the jobs that are trained with it
    freed: float = field(default_factory=time.monotonic)  # since when it serves nothing
    grown_bytes: int = 0  # since it was fresh; of an answer that was asked for and given while it served nothing
    work: Any = None  # of a runner: the call that is answered when it has no job any more
    known: bool = True  # False: it was here before this scheduler, and has not yet said what it serves
    slots: list[Slot] = field(default_factory=list)  # of a runner: those that serve its job
    change: Any = None  # of a runner: the call that is answered when its job is served by `wanted`
    wanted: list[Slot] = field(default_factory=list)
    _asked_idle: bool = False

    @property
    def idle(self) -> bool:
        """There, and serving nothing."""
        return self.known and self.lease is None and time.monotonic() - self.answered < FRESH_S

    @property
    def slot(self) -> Slot:
        """What a job is given of it."""
        return Slot(self.name, self.node, self.place.address if self.place else "")

    @property
    def changing(self) -> bool:
        """Its job is about to be served by other slots."""
        return self.change is not None

    @property
    def silent(self) -> bool:
        """It started, serves nothing that is known, and does not answer."""
        started = self.place is not None or not self.known
        return started and self.lease is None and time.monotonic() - self.watched > ANSWER_S

    @property
    def due(self) -> bool:
        """It is time to ask it again."""
        return self.watch is None and time.monotonic() - self.answered >= ASK_S

    @property
    def idle_s(self) -> float:
        """For how long it has served nothing."""
        return time.monotonic() - self.freed if self.idle else 0.0

    def ask(self) -> None:
        """Ask where it is."""
        self.watch, self.watched = self.actor.where.remote(), time.monotonic()
        self._asked_idle = self.lease is None

    def hear(self, place: Place) -> None:
        """It has answered."""
        self.place, self.answered, self.watch = place, time.monotonic(), None
        self.grown_bytes = place.grown_bytes if self._asked_idle else 0

    def serve(self, *leases: Lease) -> None:
        """It serves this from now on, or all these as one."""
        self.lease, self.leases = leases[0], leases
        self.grown_bytes, self._asked_idle = 0, False

    def dismiss(self, lease: Lease) -> None:
        """Have a worker drop what it has as its node's leader, for a runner that died before it could say so."""
        self.actor.dismiss.remote(lease.token)

    def free(self) -> None:
        """It serves nothing from now on."""
        self.lease, self.leases, self.change, self.slots = None, (), None, []
        self.watched = self.freed = time.monotonic()

    def describe(self) -> dict[str, Any]:
        """The actor as `GET /v1/cluster` shows it."""
        place, lease = self.place, self.lease
        return {
            "name": self.name,
            "node": self.node,
            "state": "starting" if place is None else "idle" if lease is None else "busy",
            "host": place and place.host,
            "pid": place and place.pid,
            "job": lease and lease.job_id,
        }


@dataclass
class Backoff:
    """An actor that could not be made: why, and when it is tried again."""

    reason: str
    failures: int = 0
    until: float = 0.0

    def fail(self, reason: str) -> None:
        """It failed once more."""
        self.reason, self.failures = reason, self.failures + 1
        self.until = time.monotonic() + min(30.0, 2.0**self.failures)

    @property
    def waits(self) -> bool:
        """It is too early to try again."""
        return time.monotonic() < self.until
