"""The warm pool: gradient workers (one a slot) and runners, leased to jobs as a gang, all of it or nothing.

The first slot of a gang is on its runner's own node, always. What serves a job is bound to it at once, and is free when
the job is over or its runner has said that it does without. Knows neither the queue nor why a job runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
import structlog
from ray.exceptions import RayTaskError

from service import actors
from service.crew import Crew
from service.errors import Conflict, LeaseLost
from service.jobs import Lease
from service.member import Member
from service.settings import Settings
from service.work import Work
from workers.place import Slot

log = structlog.get_logger()

NODE_DIED = "node has died"  # so Ray says it where an actor went with its node


class Pool:
    """The actors of this version, and what they serve, under one leader's epoch."""

    def __init__(self, settings: Settings, epoch: int) -> None:
        self._epoch = epoch
        self._crew = Crew(settings, epoch, self._arrived, self._gone)
        self.workers, self.runners = self._crew.workers, self._crew.runners
        self.deaths: dict[Lease, str] = {}  # the jobs whose runner was seen to die while its node stood, and what of
        for runner in self.runners.values():
            self._ask_work(runner)

    @property
    def settled(self) -> bool:
        """Every runner that was here before has said what it serves."""
        return all(runner.known for runner in self.runners.values())

    @property
    def capacity(self) -> int:
        """How many slots there may be."""
        return self._crew.capacity

    @property
    def standing(self) -> int:
        """How many slots there are now: their workers stand."""
        return sum(worker.place is not None for worker in self.workers.values())

    @property
    def returning(self) -> int:
        """How many slots running jobs are giving up."""
        return sum(len(set(self._bound(runner)) - {slot.name for slot in runner.wanted}) for runner in self._changing())

    def want(self, slots: int) -> None:
        """So many slots are of use now: the pool keeps them warm, within its bounds."""
        self._crew.of_use = slots

    def free(self) -> list[Slot]:
        """The slots that serve nothing, by node; none of a node on which no runner is free to use them."""
        nodes = {runner.node for runner in self.runners.values() if runner.idle}
        idle = [worker for _, worker in sorted(self.workers.items()) if worker.idle and worker.node in nodes]
        return [worker.slot for worker in idle]

    @property
    def busy(self) -> list[Member]:
        """The runners that have a job, or several that are trained as one."""
        return [runner for runner in self.runners.values() if runner.lease is not None]

    def serving(self) -> dict[Lease, Member]:
        """Who runs each job, by its lease."""
        return {lease: runner for runner in self.busy for lease in runner.leases}

    def lend(self, work: Work) -> None:
        """Give a job to an idle runner on its first slot's node."""
        node = work.slots[0].node
        runner = next(runner for runner in self.runners.values() if runner.idle and runner.node == node)
        self._bind(runner, work.leases, work.slots)
        runner.work = runner.actor.run.remote(self._epoch, work)

    def resize(self, lease: Lease, slots: Sequence[Slot]) -> None:
        """Have a running job be served by these slots, the first of them as before; it is so some steps later."""
        runner = self.serving()[lease]
        for worker in self._among(slots):
            worker.serve(lease)
        runner.wanted = list(slots)
        runner.change = runner.actor.resize.remote(self._epoch, lease.token, runner.wanted)

    def send_back(self, lease: Lease, reason: str) -> None:
        """Have a running job write a checkpoint and go back into the queue."""
        self.serving()[lease].actor.drain.remote(self._epoch, lease.token, reason)

    def refresh(self, wait_s: float = 0.0) -> None:
        """Start what is missing, bury what is dead, and free what runners have done with.

        Units: `wait_s` in seconds: how long to wait for the end of some job.
        Raises: LeaseLost when an actor obeys a later leader.
        """
        ends = {runner.work: runner for runner in self.runners.values() if runner.work is not None}
        for call in actors.answered(ends, wait_s):
            self._hear_end(ends[call], call)
        changes = {runner.change: runner for runner in self._changing()}
        for call in actors.answered(changes):
            self._hear_change(changes[call], call)
        self._crew.refresh()

    def kill(self, member: Member) -> None:
        """End an actor that does not answer; the next look starts another."""
        self._crew.end(member, "it did not answer")

    def drain(self, timeout_s: float) -> None:
        """Have every job write a checkpoint and go back into the queue."""
        busy = self.busy
        for runner in busy:
            runner.actor.drain.remote(self._epoch)
        actors.answered([runner.work for runner in busy], timeout_s, wait_for_all=True)

    def picture(self) -> dict[str, Any]:
        """Nodes, workers, runners, and what could not be started, as `GET /v1/cluster` shows them."""
        return {
            "nodes": self._crew.nodes,
            "slots": self.capacity,
            "workers": [member.describe() for _, member in sorted(self.workers.items())],
            "runners": [member.describe() for _, member in sorted(self.runners.items())],
            "problems": self._crew.problems,
        }

    def _changing(self) -> list[Member]:
        return [runner for runner in self.runners.values() if runner.changing]

    def _bound(self, runner: Member) -> list[str]:
        """The workers that serve a runner's job."""
        return [
            name for name, worker in self.workers.items() if worker.lease is not None and worker.lease == runner.lease
        ]

    def _ask_work(self, runner: Member) -> None:
        runner.known = False
        runner.work = runner.actor.status.remote(self._epoch)

    def _hear_end(self, runner: Member, call: Any) -> None:
        """A runner has said what it serves, where it was asked for that, or that it has no job any more."""
        runner.work = None
        try:
            answer = ray.get(call)
        except actors.GONE as death:
            self._crew.bury(runner, actors.reason_of(death))
        except RayTaskError as error:
            self._hear_refusal(runner, error)
        else:
            adopted = not runner.known and isinstance(answer, Work)
            runner.known = True
            if adopted:
                self._go_on(runner, answer)
            else:
                self._free(runner)

    def _go_on(self, runner: Member, work: Work) -> None:
        """Take over a job that runs; what an earlier leader asked of it and is not done yet is asked no more."""
        self._bind(runner, work.leases, work.slots)
        runner.work = runner.actor.join.remote(self._epoch)
        runner.wanted = list(work.slots)
        runner.change = runner.actor.resize.remote(self._epoch, work.lease.token, runner.wanted)

    def _hear_refusal(self, runner: Member, error: RayTaskError) -> None:
        if isinstance(error.cause, LeaseLost):
            raise error.cause
        self._free(runner)
        if isinstance(error.cause, Conflict):
            self._ask_work(runner)  # another leader gave it a job
        else:
            log.error("a runner failed", actor=runner.name, error=str(error))

    def _hear_change(self, runner: Member, call: Any) -> None:
        """A runner has said which slots serve its job; with none, the job is over, and its end is about to be heard."""
        runner.change = None
        try:
            slots = ray.get(call)
        except actors.GONE as death:
            self._crew.bury(runner, actors.reason_of(death))
        except RayTaskError as error:
            if isinstance(error.cause, LeaseLost):
                raise error.cause from None
            log.error("a job cannot be resized", actor=runner.name, error=str(error))
        else:
            if slots and runner.lease is not None:
                self._bind(runner, runner.leases, slots)

    def _bind(self, runner: Member, leases: Sequence[Lease], slots: Sequence[Slot]) -> None:
        """These workers serve this runner's job now, or its population, and no others."""
        serving, lease = self._among(slots), leases[0]
        for worker in self.workers.values():
            if worker in serving:
                worker.serve(lease)
            elif worker.lease == lease:
                worker.free()
        runner.serve(*leases)
        names = {worker.name for worker in serving}
        runner.slots = [slots[0], *(slot for slot in slots[1:] if slot.name in names)]

    def _among(self, slots: Sequence[Slot]) -> list[Member]:
        """The workers on these slots; one that took a dead one's place only where a runner computes itself."""
        names = {slot.name for slot in slots}
        return [
            worker
            for worker in self.workers.values()
            if worker.name in names and (worker.place is None or worker.name == slots[0].name or worker.slot in slots)
        ]

    def _free(self, runner: Member) -> None:
        for name in self._bound(runner):
            self.workers[name].free()
        runner.free()

    def _arrived(self, member: Member) -> None:
        """A worker stands: that it took the place of one that served counts only on a runner's own slot."""
        for runner in self.busy:
            if member.name == runner.slots[0].name:
                member.serve(runner.leases[0])
            elif any(slot.name == member.name and slot != member.slot for slot in runner.slots):
                runner.slots = [slot for slot in runner.slots if slot.name != member.name]
                member.free()

    def _gone(self, member: Member, reason: str) -> None:
        """What a dead runner had is free; the job of a dead worker has one the fewer."""
        if member.lease is None:
            return
        runner = self.serving().get(member.lease)
        if runner is None:  # it is the runner itself
            if self._crew.stands(member.node) and NODE_DIED not in reason:
                words = member.place.last_words() if member.place else ""
                why = f"{reason} Its last words: {words}" if words else reason
                self.deaths |= dict.fromkeys(member.leases, why)
            for name in self._bound(member):
                self.workers[name].dismiss(member.lease)
            self._free(member)
        else:
            first, *others = runner.slots
            runner.slots = [first, *(slot for slot in others if slot.name != member.name)]
