"""The warm pool: gradient workers (one a slot) and runners, as many on each node, leased to jobs as a gang.

The actors outlive the scheduler. Their names carry deltaq's version and their node, so that a scheduler finds those of
its own version again and ends another's. Knows neither the queue nor why a job runs.
"""

from __future__ import annotations

import time
from importlib import metadata
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError, RayTaskError

from service import actors
from service.actors import Backoff, Member
from service.errors import Conflict, LeaseLost
from service.jobs import Lease
from service.runner import Runner
from service.settings import Settings
from service.work import Work
from workers.gradient_worker import GradientWorker
from workers.place import Slot
from workers.transport.gang import Gang

log = structlog.get_logger()

RUNNER_CALLS = 8  # at once: its job, and what it is asked meanwhile


class Pool:
    """The actors of this version under one leader's epoch; another version's are drained and ended first."""

    def __init__(self, settings: Settings, epoch: int) -> None:
        self._settings = settings
        self._epoch = epoch
        self._prefix = f"deltaq-{metadata.version('deltaq')}-"
        self._backoffs: dict[str, Backoff] = {}
        self.workers: dict[str, Member] = {}
        self.runners: dict[str, Member] = {}
        self._looked = time.monotonic()
        actors.retire("deltaq-", self._prefix, epoch, settings.drain_s)

    @property
    def settled(self) -> bool:
        """Every runner that was here before has said what it serves."""
        return all(runner.known for runner in self.runners.values())

    def free(self) -> list[Slot]:
        """The slots that serve nothing, by node; none of a node on which no runner is free to use them."""
        nodes = {runner.node for runner in self.runners.values() if runner.idle}
        idle = [worker for _, worker in sorted(self.workers.items()) if worker.idle and worker.node in nodes]
        return [worker.slot for worker in idle]

    def serving(self) -> dict[Lease, Member]:
        """The runners that have a job, by its lease."""
        return {runner.lease: runner for runner in self.runners.values() if runner.lease is not None}

    def lend(self, work: Work) -> None:
        """Give a job to an idle runner on its first slot's node."""
        node = work.slots[0].node
        runner = next(runner for runner in self.runners.values() if runner.idle and runner.node == node)
        self._bind(runner, work)
        runner.work = runner.actor.run.remote(self._epoch, work)

    def refresh(self, wait_s: float = 0.0) -> None:
        """Start what is missing, bury what is dead, and free what a runner that ended its job had.

        Units: `wait_s` in seconds: how long to wait for the end of some job.
        Raises: LeaseLost when an actor obeys a later leader.
        """
        self._forgive_own_absence()
        self._start_missing()
        ends = {runner.work: runner for runner in self.runners.values() if runner.work is not None}
        for call in actors.answered(ends, wait_s):
            self._hear_end(ends[call], call)
        members = [*self.workers.values(), *self.runners.values()]
        watches = {member.watch: member for member in members}
        for call in actors.answered(watches):
            self._hear_watch(watches[call], call)
        for member in members:
            if member.silent:
                self.kill(member)

    def kill(self, member: Member) -> None:
        """End an actor that does not answer; the next look starts another."""
        ray.kill(member.actor)
        self._bury(member, "it did not answer")

    def drain(self, timeout_s: float) -> None:
        """Have every job write a checkpoint and go back into the queue."""
        busy = list(self.serving().values())
        for runner in busy:
            runner.actor.drain.remote(self._epoch)
        actors.answered([runner.work for runner in busy], timeout_s, wait_for_all=True)

    def picture(self) -> dict[str, Any]:
        """Nodes, workers, runners, and what could not be started, as `GET /v1/cluster` shows them."""
        return {
            "nodes": actors.nodes(),
            "workers": [member.describe() for _, member in sorted(self.workers.items())],
            "runners": [member.describe() for _, member in sorted(self.runners.items())],
            "problems": [f"{name} cannot start: {backoff.reason}" for name, backoff in sorted(self._backoffs.items())],
        }

    def _forgive_own_absence(self) -> None:
        """After a stop of this very process, nobody has been silent."""
        now = time.monotonic()
        if now - self._looked > actors.FRESH_S:
            for member in (*self.workers.values(), *self.runners.values()):
                member.watched = now
        self._looked = now

    def _start_missing(self) -> None:
        for node in actors.nodes():
            for number in range(node["slots"]):
                place = f"{node['id'][:12]}-{number}"
                self._start_worker(f"{self._prefix}worker-{place}", node["id"])
                self._start_runner(f"{self._prefix}runner-{place}", node["id"])

    def _start_worker(self, name: str, node: str) -> None:
        if name in self.workers or self._waits(name):
            return
        actor = actors.find(name) or actors.make(GradientWorker, name, node, num_cpus=1)
        self.workers[name] = Member(name, node, actor)
        self.workers[name].ask()

    def _start_runner(self, name: str, node: str) -> None:
        if name in self.runners or self._waits(name):
            return
        found = actors.find(name)
        options = {"num_cpus": 0, "max_concurrency": RUNNER_CALLS}
        actor = found or actors.make(Runner, name, node, self._settings, Gang, **options)
        self.runners[name] = Member(name, node, actor)
        self.runners[name].ask()
        if found is not None:
            self._ask_work(self.runners[name])

    def _waits(self, name: str) -> bool:
        return name in self._backoffs and time.monotonic() < self._backoffs[name].until

    def _ask_work(self, runner: Member) -> None:
        runner.known = False
        runner.work = runner.actor.status.remote(self._epoch)

    def _hear_watch(self, member: Member, call: Any) -> None:
        try:
            member.hear(ray.get(call))
        except RayActorError as death:
            self._bury(member, actors.reason_of(death))
        else:
            self._backoffs.pop(member.name, None)
            member.ask()

    def _hear_end(self, runner: Member, call: Any) -> None:
        """A runner has said what it serves, where it was asked for that, or that it has no job any more."""
        runner.work = None
        try:
            answer = ray.get(call)
        except RayActorError as death:
            self._bury(runner, actors.reason_of(death))
        except RayTaskError as error:
            self._hear_refusal(runner, error)
        else:
            adopted = not runner.known and isinstance(answer, Work)
            runner.known = True
            if adopted:
                self._bind(runner, answer)
                runner.work = runner.actor.join.remote(self._epoch)
            else:
                self._free(runner)

    def _hear_refusal(self, runner: Member, error: RayTaskError) -> None:
        if isinstance(error.cause, LeaseLost):
            raise error.cause
        self._free(runner)
        if isinstance(error.cause, Conflict):
            self._ask_work(runner)  # another leader gave it a job
        else:
            log.error("a runner failed", actor=runner.name, error=str(error))

    def _bind(self, runner: Member, work: Work) -> None:
        runner.lease = work.lease
        for slot in work.slots:
            if slot.name in self.workers:
                self.workers[slot.name].lease = work.lease

    def _free(self, runner: Member) -> None:
        for worker in self.workers.values():
            if worker.lease is not None and worker.lease == runner.lease:
                worker.free()
        runner.free()

    def _bury(self, member: Member, reason: str) -> None:
        log.warning("actor ended", actor=member.name, reason=reason)
        if member.place is None:  # it never stood: do not start it again at once
            self._backoffs.setdefault(member.name, Backoff(reason)).fail(reason)
        if self.runners.get(member.name) is member:
            del self.runners[member.name]
            self._free(member)
        elif self.workers.get(member.name) is member:
            del self.workers[member.name]
