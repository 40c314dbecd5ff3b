"""The life of jobs as a model that Hypothesis drives: after every step the real Redis must say what the model says."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from service.errors import Diverged, IllegalTransition, InUse, InvalidSpec, LeaseLost, StoreUnavailable
from service.jobs import CheckpointRef, JobStatus, Lease
from service.queue import DEATHS
from service.store import Store
from tests.service.rooms import Rooms

S = JobStatus
TENANTS = ("ada", "ben")
ENDS = ("succeed", "fail", "release", "expire", "die", "try again")


@dataclass
class Expected:
    """What the model knows of one job."""

    tenant: str
    priority: int
    parents: list[str]
    retries: int
    status: JobStatus = S.QUEUED
    attempt: int = 0
    requested: str | None = None
    rows: int = 0
    checkpoint: int | None = None
    delayed: bool = False
    retried: int = 0
    deaths: int = 0
    furthest: int = -1
    step: int = 0
    lease: Lease | None = None
    old_leases: list[Lease] = field(default_factory=list)
    ends: list[JobStatus] = field(default_factory=list)

    def leave(self, status: JobStatus) -> None:
        assert self.lease is not None
        self.old_leases.append(self.lease)
        self.lease, self.requested = None, None
        self.become(status)

    def become(self, status: JobStatus) -> None:
        if self.status.terminal and status is S.QUEUED:
            self.retried, self.deaths, self.furthest, self.delayed = 0, 0, -1, False
        self.status = status
        if status.terminal:
            self.ends.append(status)
        if status is S.SUCCEEDED:
            self.checkpoint = None


class Life(RuleBasedStateMachine):
    """Users, a leader and runners, each doing anything at any time."""

    jobs = Bundle("jobs")
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.store.command("FLUSHALL")
        self.rooms = Rooms(self.store)
        self.data = {"ada": self.rooms.dataset, "ben": self.rooms.add_dataset("everybody's", tenant=None)}
        self.known: dict[str, Expected] = {}
        self.order: list[str] = []
        self.served = dict.fromkeys(TENANTS, 0)
        self.claims = 0

    @precondition(lambda self: len(self.known) < 4)  # few, so that much happens to each
    @rule(
        target=jobs,
        tenant=st.sampled_from(TENANTS),
        priority=st.integers(-1, 1),
        retries=st.integers(0, 1),
        after=st.lists(st.integers(0, 3), max_size=2),
    )
    def accept(self, tenant: str, priority: int, retries: int, after: list[int]) -> str:
        self.rooms.dataset = self.data[tenant]
        own = [job_id for job_id in self.order if self.known[job_id].tenant == tenant]
        parents = [own[number] for number in after if number < len(own)]
        made = {"priority": priority, "retries": retries, "after": parents}
        if self.dead(parents):
            self.refused(lambda: self.rooms.accept(tenant, **made), InvalidSpec)
            parents = made["after"] = []
        job = self.rooms.accept(tenant, **made)
        self.known[job.id] = Expected(tenant, priority, self.unfinished(parents), retries)
        self.order.append(job.id)
        return str(job.id)

    def dead(self, parents: list[str]) -> bool:
        return any(self.known[parent].status in (S.FAILED, S.CANCELLED) for parent in parents)

    def unfinished(self, parents: list[str]) -> list[str]:
        return [parent for parent in parents if self.known[parent].status is not S.SUCCEEDED]

    def in_line(self, job_id: str) -> bool:
        model = self.known[job_id]
        return model.status is S.QUEUED and not model.delayed and not self.waits_for(job_id)

    def waits_for(self, job_id: str) -> list[str]:
        return self.known[job_id].parents if self.known[job_id].status is S.QUEUED else []

    def goes_first(self, job_id: str) -> tuple[int, int, int, int]:
        model = self.known[job_id]
        running = sum(other.tenant == model.tenant and other.lease is not None for other in self.known.values())
        return -model.priority, running, self.served[model.tenant], self.order.index(job_id)

    @rule()
    def claim(self) -> None:
        expected = min(filter(self.in_line, self.order), key=self.goes_first, default=None)
        claimed = self.rooms.try_claim()
        assert (claimed and claimed.job.id) == expected
        if claimed:
            model = self.known[claimed.job.id]
            self.claims += 1
            self.served[model.tenant] = self.claims
            model.status, model.lease, model.attempt = S.RUNNING, claimed.lease, model.attempt + 1

    @rule()
    def look(self) -> None:
        """The leader has the time of all that wait for it come, and settles what waits for ended jobs."""
        self.rooms.bring_due()
        while self.rooms.queue.promote(2**31) == 0:
            pass
        for model in self.known.values():
            model.delayed = False
        for _ in self.order:  # as often as one may come after another
            for job_id in self.order:
                self.settle(job_id)

    def settle(self, job_id: str) -> None:
        model = self.known[job_id]
        if model.status in (S.QUEUED, S.PAUSED):
            if self.dead(model.parents):
                model.become(S.CANCELLED)
                model.parents = []
            else:
                model.parents = self.unfinished(model.parents)

    @rule(job_id=jobs, verb=st.sampled_from(["cancel", "pause"]))
    def ask(self, job_id: str, verb: Any) -> None:
        model = self.known[job_id]
        target = S.CANCELLED if verb == "cancel" else S.PAUSED
        again = model.status is target or model.requested == verb
        allowed = model.status in (S.QUEUED, S.RUNNING) or (verb == "cancel" and model.status is S.PAUSED)
        if not again and (not allowed or model.requested == "cancel"):
            self.refused(lambda: self.rooms.jobs.request(model.tenant, job_id, verb), IllegalTransition)
            return
        self.rooms.jobs.request(model.tenant, job_id, verb)
        if model.status is S.RUNNING:
            model.requested = verb
        elif not again:
            model.become(target)

    @rule(job_id=jobs)
    def resume(self, job_id: str) -> None:
        model = self.known[job_id]
        if model.status is S.PAUSED:
            self.rooms.jobs.resume(model.tenant, job_id)
            model.become(S.QUEUED)
        elif model.status is S.RUNNING and model.requested == "pause":
            self.rooms.jobs.resume(model.tenant, job_id)
            model.requested = None
        elif model.status.terminal:
            self.refused(lambda: self.rooms.jobs.resume(model.tenant, job_id), IllegalTransition)

    @rule(job_id=jobs, start=st.sampled_from(["checkpoint", "start"]))
    def retry(self, job_id: str, start: Any) -> None:
        model = self.known[job_id]
        after = list(self.rooms.jobs.get(model.tenant, job_id).spec.after)
        if model.status in (S.FAILED, S.CANCELLED) and not self.dead(after):
            self.rooms.jobs.retry(model.tenant, job_id, start)
            model.become(S.QUEUED)
            model.parents = self.unfinished(after)
            if start == "start":
                model.rows, model.checkpoint, model.step = 0, None, 0
        elif model.status not in (S.QUEUED, S.RUNNING):
            self.refused(lambda: self.rooms.jobs.retry(model.tenant, job_id, start), IllegalTransition)

    @rule(job_id=jobs)
    def train(self, job_id: str) -> None:
        model = self.known[job_id]
        if model.lease is None:
            return
        model.step = model.rows
        assert self.rooms.queue.beat(model.lease, {"step": model.step}) == model.requested
        assert self.rooms.queue.record_epoch(model.lease, {"epoch": model.rows + 1})
        model.rows += 1
        assert not self.rooms.queue.record_epoch(model.lease, {"epoch": model.rows, "late": True})
        self.rooms.queue.record_checkpoint(model.lease, CheckpointRef("path", "0" * 64, model.rows, {}))
        model.checkpoint = model.rows

    @rule(job_id=jobs, end=st.sampled_from(ENDS), times=st.integers(1, 2))
    def end(self, job_id: str, end: str, times: int) -> None:
        model = self.known[job_id]
        if model.lease is None:
            return
        flagged = self.unfinished_end(model, end)
        for _ in range(times):
            match end:
                case "succeed":
                    result = {"model_id": "model-" + "a" * 20}
                    self.rooms.queue.succeed(model.lease, result, {"id": result["model_id"]})
                case "fail":
                    self.rooms.queue.fail(model.lease, Diverged("no"))
                case "release":
                    assert self.rooms.queue.release(model.lease, "why") is flagged
                case "try again":
                    assert self.rooms.queue.try_again(model.lease, StoreUnavailable("away")) is flagged
                case "expire" | "die":
                    suspect = end == "die"
                    found = self.rooms.queue.expire(model.lease, 1, beat=None, reason="why", suspect=suspect)
                    assert found is flagged
        model.leave({"succeed": S.SUCCEEDED, "fail": S.FAILED}.get(end, flagged))

    @staticmethod
    def unfinished_end(model: Expected, end: str) -> JobStatus:
        """Where a job goes that is taken off running unfinished."""
        spent = False
        if end == "try again":
            model.retried += 1
            spent = model.retried > model.retries
        elif end == "die":
            model.deaths = 1 if model.step > model.furthest else model.deaths + 1
            model.furthest = max(model.step, model.furthest)
            spent = model.deaths >= DEATHS
        if model.requested:
            return S.CANCELLED if model.requested == "cancel" else S.PAUSED
        model.delayed = end == "try again" and not spent
        return S.FAILED if spent else S.QUEUED

    @rule(job_id=jobs, place=st.integers(0, 50), verb=st.sampled_from(["beat", "record_epoch", "log", "checkpoint"]))
    def write_late(self, job_id: str, place: int, verb: str) -> None:
        old = self.known[job_id].old_leases
        if not old:
            return
        lease, queue = old[place % len(old)], self.rooms.queue
        writes = {
            "beat": lambda: queue.beat(lease, {"late": True}),
            "record_epoch": lambda: queue.record_epoch(lease, {"epoch": 1}),
            "log": lambda: queue.log(lease, "info", "late"),
            "checkpoint": lambda: queue.record_checkpoint(lease, CheckpointRef("late", "1" * 64, 1, {})),
        }
        self.refused(writes[verb], LeaseLost)

    @rule()
    def delete_the_data(self) -> None:
        if any(model.tenant == "ada" and not model.status.terminal for model in self.known.values()):
            self.refused(lambda: self.rooms.datasets.delete("ada", self.data["ada"].id), InUse)

    def refused(self, attempt: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            attempt()

    @invariant()
    def every_record_is_as_the_model_says(self) -> None:
        for job_id, model in self.known.items():
            job = self.rooms.jobs.get(model.tenant, job_id)
            assert (job.status, job.attempt, job.requested) == (model.status, model.attempt, model.requested)
            assert (job.finished_at is not None) == model.status.terminal
            assert (job.error is not None) or model.status is not S.FAILED
            assert job.retried == model.retried
            assert set(job.waits_for) == set(self.waits_for(job_id))
            assert (job.queue_position is not None) == self.in_line(job_id)
            assert (job.result is not None) == (model.status is S.SUCCEEDED)
            assert (job.checkpoint.step if job.checkpoint else None) == model.checkpoint
            rows = self.rooms.jobs.metrics(model.tenant, job_id, limit=500).items
            assert [row["epoch"] for row in rows] == list(range(1, model.rows + 1))
            assert not any("late" in row for row in [*rows, job.progress])

    @invariant()
    def every_index_is_as_the_model_says(self) -> None:
        newest_first = self.order[::-1]
        for status, tenant in product(S, TENANTS):
            listed = [job.id for job in self.rooms.jobs.list(tenant, status=status, limit=500).items]
            own = [job_id for job_id in newest_first if self.known[job_id].tenant == tenant]
            assert listed == [job_id for job_id in own if self.known[job_id].status is status]
        leases = {running.lease for running in self.rooms.queue.running()}
        assert leases == {model.lease for model in self.known.values() if model.lease}
        assert self.rooms.queue.depth() == sum(model.status is S.QUEUED for model in self.known.values())

    @invariant()
    def every_end_is_said_once(self) -> None:
        for job_id, model in self.known.items():
            assert self.rooms.ends_said(job_id) == model.ends


@pytest.mark.timeout(300)
def test_a_life_of_anything_at_any_time(store: Store) -> None:
    machine = type("LifeOnThisRedis", (Life,), {"store": store})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=35, deadline=None))
