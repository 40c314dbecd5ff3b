"""Ray's side of the pool: nodes with slots, named actors on them, and what their calls answer. Knows no job.

Actors are named, detached and never restarted by Ray: who replaces them knows what they served.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ray
import structlog
from ray.exceptions import RayError
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from service.jobs import Lease
from workers.place import Place, Slot

log = structlog.get_logger()

ANSWER_S = 10.0  # an idle actor that says nothing for so long is silent
FRESH_S = 3.0  # one that answered within this time is there


@dataclass(eq=False)
class Member:
    """One actor of the pool, as far as it is known."""

    name: str
    node: str
    actor: Any
    watch: Any = None  # a call that asks where it is: by its answer it lives, by its error it has died
    watched: float = field(default_factory=time.monotonic)  # when that was asked, or it became free since
    answered: float = 0.0
    place: Place | None = None  # None until it has answered once: it is starting
    lease: Lease | None = None  # what it serves
    work: Any = None  # of a runner: the call that is answered when it has no job any more
    known: bool = True  # False: it was here before this scheduler, and has not yet said what it serves

    @property
    def idle(self) -> bool:
        """There, and serving nothing."""
        return self.known and self.lease is None and time.monotonic() - self.answered < FRESH_S

    @property
    def slot(self) -> Slot:
        """What a job is given of it."""
        return Slot(self.name, self.node, self.place.address if self.place else "")

    @property
    def silent(self) -> bool:
        """It started, serves nothing that is known, and does not answer."""
        started = self.place is not None or not self.known
        return started and self.lease is None and time.monotonic() - self.watched > ANSWER_S

    def ask(self) -> None:
        """Ask where it is."""
        self.watch, self.watched = self.actor.where.remote(), time.monotonic()

    def hear(self, place: Place) -> None:
        """It has answered."""
        self.place, self.answered = place, time.monotonic()

    def free(self) -> None:
        """It serves nothing from now on."""
        self.lease, self.watched = None, time.monotonic()

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


def nodes() -> list[dict[str, Any]]:
    """Every node that Ray knows."""
    return [
        {
            "id": node["NodeID"],
            "address": node["NodeManagerAddress"],
            "alive": node["Alive"],
            "slots": int(node["Resources"].get("CPU", 0)) if node["Alive"] else 0,
        }
        for node in ray.nodes()
    ]


def find(name: str) -> Any | None:
    """The actor of this name, if it lives."""
    try:
        return ray.get_actor(name)
    except ValueError:
        return None


def make(kind: type, name: str, node: str, *arguments: Any, **options: Any) -> Any:
    """Start an actor on this very node."""
    where = NodeAffinitySchedulingStrategy(node, soft=False)
    options = {"name": name, "lifetime": "detached", "get_if_exists": True, "max_restarts": 0, **options}
    return ray.remote(kind).options(scheduling_strategy=where, **options).remote(*arguments)


def answered(calls: Iterable[Any], wait_s: float = 0.0, *, wait_for_all: bool = False) -> list[Any]:
    """Those of the calls that have an answer, after at most `wait_s` for the first of them (or for all)."""
    waiting = list(calls)
    if not waiting:
        return []
    if wait_s > 0:
        ray.wait(waiting, num_returns=len(waiting) if wait_for_all else 1, timeout=wait_s)
    ready: list[Any] = ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
    return ready


def reason_of(death: RayError) -> str:
    """Why an actor died, in one line: of a traceback, the last."""
    lines = [line.strip() for line in str(death).splitlines() if line.strip()]
    return lines[-1] if any(line.startswith("File ") for line in lines) else lines[0]


def retire(names_start: str, but: str, epoch: int, timeout_s: float) -> list[str]:
    """Drain and end the actors whose names start so, but for those that start as `but` says; answers their names.

    They are of another version, and hold the slots that this one needs.
    """
    others = [name for name in list_named_actors() if name.startswith(names_start) and not name.startswith(but)]
    actors = {name: actor for name in others if (actor := find(name)) is not None}
    runners = [actor for name, actor in actors.items() if "-runner-" in name]
    for runner in runners:
        runner.drain.remote(epoch)
    answered([runner.join.remote(epoch) for runner in runners], timeout_s, wait_for_all=True)
    for name, actor in actors.items():
        log.info("ending an actor of another version", actor=name)
        ray.kill(actor)
    return sorted(actors)
