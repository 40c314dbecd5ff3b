"""The warm pool: gradient workers (one a slot) and runners, as named, detached Ray actors that outlive the scheduler.

A job leases a runner and a gang of workers, all or none. Names carry deltaq's version, so that a scheduler of another
version never takes them for its own. Who is dead is learned from calls that stay open. Knows neither the queue nor
why a job runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError, RayTaskError

from service.attempt import Work
from service.errors import LeaseLost
from service.jobs import Lease
from service.runner import Runner
from service.settings import Settings
from workers.gradient_worker import GradientWorker
from workers.place import Place
from workers.transport.ray_objects import connect

log = structlog.get_logger()

ANSWER_S = 10.0


@dataclass(eq=False)
class Member:
    """One actor of the pool, as far as it is known."""

    name: str
    actor: Any
    watch: Any  # an open call by which its death is learned
    place: Place | None = None  # None until it has answered once: it is starting
    lease: Lease | None = None  # what it serves
    work: Any = None  # runners: the open call that is answered when it has no job any more
    asked: bool = True  # False: it was here before this scheduler, and has not yet said what it serves
    since: float = field(default_factory=time.monotonic)

    @property
    def silent(self) -> bool:
        """It was asked what it serves, long ago."""
        return not self.asked and time.monotonic() - self.since > ANSWER_S

    @property
    def idle(self) -> bool:
        """Ready, and serving nothing."""
        return self.place is not None and self.asked and self.lease is None


class Pool:
    """The actors of this version under one leader's epoch."""

    def __init__(self, settings: Settings, epoch: int) -> None:
        self._settings = settings
        self._epoch = epoch
        self._prefix = f"deltaq-{metadata.version('deltaq')}"
        self.workers: dict[str, Member] = {}
        self.runners: dict[str, Member] = {}

    @property
    def settled(self) -> bool:
        """Every runner has said what it serves."""
        return all(runner.asked for runner in self.runners.values())

    def free(self) -> list[str]:
        """Names of the workers that serve nothing; none while no runner is free to use them."""
        if not any(runner.idle for runner in self.runners.values()):
            return []
        return [name for name, worker in self.workers.items() if worker.idle]

    def serving(self) -> dict[Lease, Member]:
        """The runners that have a job, by its lease."""
        return {runner.lease: runner for runner in self.runners.values() if runner.lease is not None}

    def lend(self, work: Work) -> None:
        """Give a job to an idle runner, with the workers that it names."""
        runner = next(runner for runner in self.runners.values() if runner.idle)
        self._bind(runner, work)
        runner.work = runner.actor.run.remote(self._epoch, work)

    def refresh(self, wait_s: float = 0.0) -> None:
        """Start what is missing, bury what is dead, and free what a runner that ended its job had.

        Units: `wait_s` in seconds: how long to wait for the end of some job.
        Raises: LeaseLost when an actor obeys a later leader.
        """
        self._start_missing()
        ends = {runner.work: runner for runner in self.runners.values() if runner.work is not None}
        for call in _answered(ends, wait_s):
            self._hear_end(ends[call], call)
        for runner in [runner for runner in self.runners.values() if runner.silent]:
            self.kill(runner)
        watches = {member.watch: member for member in (*self.workers.values(), *self.runners.values())}
        for call in _answered(watches, 0.0):
            self._hear_watch(watches[call], call)

    def kill(self, runner: Member) -> None:
        """End a runner that does not answer; the next look starts another."""
        ray.kill(runner.actor)
        self._bury(runner, "it did not answer")

    def drain(self, timeout_s: float) -> None:
        """Have every job write a checkpoint and go back into the queue."""
        busy = list(self.serving().values())
        for runner in busy:
            runner.actor.drain.remote(self._epoch)
        _answered([runner.work for runner in busy], timeout_s, wait_for_all=True)

    def picture(self) -> dict[str, Any]:
        """Nodes and workers as `GET /v1/cluster` shows them."""
        nodes = [_describe_node(node) for node in ray.nodes()]
        return {
            "nodes": nodes,
            "workers": [_describe(member) for _, member in sorted(self.workers.items())],
            "runners": [_describe(member) for _, member in sorted(self.runners.items())],
        }

    def _start_missing(self) -> None:
        for number in range(int(ray.cluster_resources().get("CPU", 0))):
            name = f"{self._prefix}-worker-{number}"
            if name not in self.workers:
                actor = _find(name) or _actor(GradientWorker, name, num_cpus=1).remote()
                self.workers[name] = Member(name, actor, actor.where.remote())
            name = f"{self._prefix}-runner-{number}"
            if name not in self.runners:
                self.runners[name] = self._runner(name)

    def _runner(self, name: str) -> Member:
        """A new runner, or the one that was here before, asked what it serves."""
        found = _find(name)
        actor = found or _actor(Runner, name, num_cpus=0, max_concurrency=8).remote(self._settings, connect)
        runner = Member(name, actor, actor.where.remote(), asked=found is None)
        if found is not None:
            runner.work = actor.status.remote(self._epoch)
        return runner

    def _hear_watch(self, member: Member, call: Any) -> None:
        try:
            member.place = ray.get(call)
            member.watch = member.actor.where.remote()
        except RayActorError as death:
            self._bury(member, str(death).splitlines()[0])

    def _hear_end(self, runner: Member, call: Any) -> None:
        """A runner has said what it serves (asked for once), or that it has no job any more."""
        runner.work = None
        try:
            answer = ray.get(call)
        except RayActorError as death:
            self._bury(runner, str(death).splitlines()[0])
            return
        except RayTaskError as error:
            if isinstance(error, LeaseLost):
                raise LeaseLost(str(error.__cause__)) from error
            log.exception("a runner failed", actor=runner.name)
            answer = None
        if isinstance(answer, Work) and not runner.asked:
            self._bind(runner, answer)
            runner.work = runner.actor.join.remote()
        else:
            self._free(runner)
        runner.asked = True

    def _bind(self, runner: Member, work: Work) -> None:
        runner.lease = work.lease
        for name in work.workers:
            if name in self.workers:
                self.workers[name].lease = work.lease

    def _free(self, runner: Member) -> None:
        for worker in self.workers.values():
            if worker.lease == runner.lease:
                worker.lease = None
        runner.lease = None

    def _bury(self, member: Member, reason: str) -> None:
        log.warning("actor ended", actor=member.name, reason=reason)
        if self.runners.pop(member.name, None) is not None:
            self._free(member)
        self.workers.pop(member.name, None)


def _find(name: str) -> Any | None:
    try:
        return ray.get_actor(name)
    except ValueError:
        return None


def _actor(kind: type, name: str, **options: Any) -> Any:
    return ray.remote(kind).options(name=name, lifetime="detached", get_if_exists=True, max_restarts=0, **options)


def _answered(calls: Iterable[Any], wait_s: float, *, wait_for_all: bool = False) -> list[Any]:
    """Those of the calls that have an answer, after at most `wait_s` for the first of them (or for all)."""
    waiting = list(calls)
    if not waiting:
        return []
    if wait_s > 0:
        ray.wait(waiting, num_returns=len(waiting) if wait_for_all else 1, timeout=wait_s)
    answered: list[Any] = ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
    return answered


def _describe_node(node: dict[str, Any]) -> dict[str, Any]:
    slots = int(node["Resources"].get("CPU", 0))
    return {"id": node["NodeID"], "address": node["NodeManagerAddress"], "alive": node["Alive"], "slots": slots}


def _describe(member: Member) -> dict[str, Any]:
    place, lease = member.place, member.lease
    return {
        "name": member.name,
        "state": "starting" if place is None else "idle" if lease is None else "busy",
        "host": place and place.host,
        "pid": place and place.pid,
        "job": lease and lease.job_id,
    }
