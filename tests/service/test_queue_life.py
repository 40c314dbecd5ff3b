"""The life of jobs as a model that Hypothesis drives: after every step the real Redis must say what the model says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from service.errors import Diverged, IllegalTransition, InUse, LeaseLost
from service.jobs import CheckpointRef, JobStatus, Lease
from service.store import Store
from tests.service.rooms import Rooms

S = JobStatus


@dataclass
class Expected:
    """What the model knows of one job."""

    priority: int
    status: JobStatus = S.QUEUED
    attempt: int = 0
    requested: str | None = None
    rows: int = 0
    checkpoint: int | None = None
    lease: Lease | None = None
    old_leases: list[Lease] = field(default_factory=list)
    ends: list[JobStatus] = field(default_factory=list)

    def leave(self, status: JobStatus) -> None:
        assert self.lease is not None
        self.old_leases.append(self.lease)
        self.lease, self.requested = None, None
        self.become(status)

    def become(self, status: JobStatus) -> None:
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
        self.known: dict[str, Expected] = {}
        self.order: list[str] = []

    @precondition(lambda self: len(self.known) < 4)  # few, so that much happens to each
    @rule(target=jobs, priority=st.integers(-2, 2))
    def accept(self, priority: int) -> str:
        job = self.rooms.accept(priority=priority)
        self.known[job.id] = Expected(priority)
        self.order.append(job.id)
        return str(job.id)

    @rule()
    def claim(self) -> None:
        waiting = [job_id for job_id in self.order if self.known[job_id].status is S.QUEUED]
        expected = min(waiting, key=lambda waits: (-self.known[waits].priority, self.order.index(waits)), default=None)
        claimed = self.rooms.try_claim()
        assert (claimed and claimed.job.id) == expected
        if claimed:
            model = self.known[claimed.job.id]
            model.status, model.lease, model.attempt = S.RUNNING, claimed.lease, model.attempt + 1

    @rule(job_id=jobs, verb=st.sampled_from(["cancel", "pause"]))
    def ask(self, job_id: str, verb: Any) -> None:
        model = self.known[job_id]
        target = S.CANCELLED if verb == "cancel" else S.PAUSED
        again = model.status is target or model.requested == verb
        allowed = model.status in (S.QUEUED, S.RUNNING) or (verb == "cancel" and model.status is S.PAUSED)
        if not again and (not allowed or model.requested == "cancel"):
            self.refused(lambda: self.rooms.jobs.request("ada", job_id, verb), IllegalTransition)
            return
        self.rooms.jobs.request("ada", job_id, verb)
        if model.status is S.RUNNING:
            model.requested = verb
        elif not again:
            model.become(target)

    @rule(job_id=jobs)
    def resume(self, job_id: str) -> None:
        model = self.known[job_id]
        if model.status is S.PAUSED:
            self.rooms.jobs.resume("ada", job_id)
            model.become(S.QUEUED)
        elif model.status is S.RUNNING and model.requested == "pause":
            self.rooms.jobs.resume("ada", job_id)
            model.requested = None
        elif model.status.terminal:
            self.refused(lambda: self.rooms.jobs.resume("ada", job_id), IllegalTransition)

    @rule(job_id=jobs, start=st.sampled_from(["checkpoint", "start"]))
    def retry(self, job_id: str, start: Any) -> None:
        model = self.known[job_id]
        if model.status in (S.FAILED, S.CANCELLED):
            self.rooms.jobs.retry("ada", job_id, start)
            model.become(S.QUEUED)
            if start == "start":
                model.rows, model.checkpoint = 0, None
        elif model.status in (S.SUCCEEDED, S.PAUSED):
            self.refused(lambda: self.rooms.jobs.retry("ada", job_id, start), IllegalTransition)

    @rule(job_id=jobs)
    def train(self, job_id: str) -> None:
        model = self.known[job_id]
        if model.lease is None:
            return
        assert self.rooms.queue.beat(model.lease, {"epoch": model.rows}) == model.requested
        assert self.rooms.queue.record_epoch(model.lease, {"epoch": model.rows + 1})
        model.rows += 1
        assert not self.rooms.queue.record_epoch(model.lease, {"epoch": model.rows, "late": True})
        self.rooms.queue.record_checkpoint(model.lease, CheckpointRef("path", "0" * 64, model.rows, {}))
        model.checkpoint = model.rows

    @rule(job_id=jobs, end=st.sampled_from(["succeed", "fail", "release", "expire"]), times=st.integers(1, 2))
    def end(self, job_id: str, end: str, times: int) -> None:
        model = self.known[job_id]
        if model.lease is None:
            return
        flagged = {"cancel": S.CANCELLED, "pause": S.PAUSED, None: S.QUEUED}[model.requested]
        for _ in range(times):
            match end:
                case "succeed":
                    result = {"model_id": "model-" + "a" * 20}
                    self.rooms.queue.succeed(model.lease, result, {"id": result["model_id"]})
                case "fail":
                    self.rooms.queue.fail(model.lease, Diverged("no"))
                case "release":
                    assert self.rooms.queue.release(model.lease, "why") is flagged
                case "expire":
                    assert self.rooms.queue.expire(model.lease, 1, beat=None, reason="why") is flagged
        model.leave({"succeed": S.SUCCEEDED, "fail": S.FAILED}.get(end, flagged))

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
        if any(not model.status.terminal for model in self.known.values()):
            self.refused(lambda: self.rooms.datasets.delete("ada", self.rooms.dataset.id), InUse)

    def refused(self, attempt: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            attempt()

    @invariant()
    def every_record_is_as_the_model_says(self) -> None:
        for job_id, model in self.known.items():
            job = self.rooms.job(job_id)
            assert (job.status, job.attempt, job.requested) == (model.status, model.attempt, model.requested)
            assert (job.finished_at is not None) == model.status.terminal
            assert (job.error is not None) == (model.status is S.FAILED)
            assert (job.result is not None) == (model.status is S.SUCCEEDED)
            assert (job.checkpoint.step if job.checkpoint else None) == model.checkpoint
            rows = self.rooms.jobs.metrics("ada", job_id, limit=500).items
            assert [row["epoch"] for row in rows] == list(range(1, model.rows + 1))
            assert not any("late" in row for row in [*rows, job.progress])

    @invariant()
    def every_index_is_as_the_model_says(self) -> None:
        newest_first = self.order[::-1]
        for status in S:
            listed = [job.id for job in self.rooms.jobs.list("ada", status=status, limit=500).items]
            assert listed == [job_id for job_id in newest_first if self.known[job_id].status is status]
        leases = {running.lease for running in self.rooms.queue.running()}
        assert leases == {model.lease for model in self.known.values() if model.lease}
        assert self.rooms.queue.depth() == sum(model.status is S.QUEUED for model in self.known.values())

    @invariant()
    def every_end_is_said_once(self) -> None:
        for job_id, model in self.known.items():
            assert self.rooms.ends_said(job_id) == model.ends


def test_a_life_of_anything_at_any_time(store: Store) -> None:
    machine = type("LifeOnThisRedis", (Life,), {"store": store})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))
