"""Jobs that are trained as one: each comes to what it comes to alone, whatever happens to it or to the others."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.acceptance import Acceptance
from service.datasets import Dataset
from service.errors import DeltaqError, RedisUnavailable
from service.fusing import MOST_MEMBERS, fusion_of
from service.jobs import Job, JobStatus
from service.population_attempt import MemberAttempt, PopulationAttempt
from service.queue import Success
from service.requests import Requests
from service.resolution import resolve
from service.spec import JobSpec
from service.store import Store
from service.work import Equipment, Work
from tests.service.attempt_room import SPEC, AttemptRoom
from tests.service.families import until
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import Transport
from workers.transport.local import LocalTransport

RATES = (0.3, 0.1, 0.03, 0.01)
LATE = 10  # a step in the middle of the training

Happening = Callable[[MemberAttempt], None]


@pytest.fixture
def room(store: Store, tmp_path: Path) -> AttemptRoom:
    return AttemptRoom(store, tmp_path)


def connect(
    slots: Sequence[Slot], token: str, given: Assignment, kernels: dict[str, str], asynchronous: bool
) -> Transport:
    return LocalTransport(ShardComputer(given))


def submit(room: AttemptRoom, *, fused: bool = True, **fields: Any) -> Job:
    spec = JobSpec.model_validate({**SPEC, **fields})
    dataset = Dataset.from_document(room.records.find(room.rooms.tenant, spec.dataset))
    found = resolve(spec, dataset, None, None)
    fusion = fusion_of(found, dataset.id) if fused else None
    assert fusion is not None or not fused
    return room.rooms.jobs.accept(Acceptance(room.rooms.tenant, found.spec, dataset, fusion=fusion))[0]


def several(room: AttemptRoom, *, fused: bool = True) -> list[Job]:
    return [
        submit(room, fused=fused, seed=seed, optimizer={"learning_rate": rate, "momentum": 0.9})
        for seed, rate in enumerate(RATES)
    ]


def attempt(room: AttemptRoom) -> PopulationAttempt:
    """An attempt at all that can be claimed together."""
    room.rooms.queue.lead("test", 30.0)
    claimed = room.rooms.queue.claim(1, 1, secrets.token_hex(8), population=MOST_MEMBERS)
    assert claimed is not None
    others = tuple((one.job, one.lease) for one in claimed.others)
    slots = [Slot("one", "node")]
    given = Equipment(
        room.settings, room.rooms.queue, room.records, room.models, room.artifacts, connect, dict(room.fingerprint)
    )
    return PopulationAttempt(given, Work(claimed.job, claimed.lease, slots, others), Requests(slots))


def now(room: AttemptRoom, jobs: Sequence[Job]) -> list[Job]:
    return [room.rooms.job(job.id) for job in jobs]


def hashes(jobs: Sequence[Job]) -> list[str]:
    assert all(job.status is JobStatus.SUCCEEDED for job in jobs), jobs
    return [job.result["weights_sha256"] for job in jobs if job.result]


@pytest.fixture
def alone(room: AttemptRoom) -> list[Job]:
    """Each of them trained by itself."""
    jobs = several(room, fused=False)
    return [room.run() for _ in jobs]


@pytest.fixture
def happens(monkeypatch: pytest.MonkeyPatch) -> Callable[[Job, Happening], None]:
    """Have something happen to a job after LATE steps, which it looks at then."""
    look = MemberAttempt.after_step

    def arrange(job: Job, happening: Happening) -> None:
        def after_step(member: MemberAttempt) -> None:
            if member.lease.job_id == job.id and member.trained.steps_done == LATE:
                happening(member)
                member._looked = 0.0
            look(member)

        monkeypatch.setattr(MemberAttempt, "after_step", after_step)

    return arrange


def ask(room: AttemptRoom, verb: Any) -> Happening:
    def happening(member: MemberAttempt) -> None:
        room.rooms.jobs.request(room.rooms.tenant, member.lease.job_id, verb)
        until(lambda: member.beat.requested == verb, "the flag")

    return happening


def plain(room: AttemptRoom, job: Job) -> list[dict[str, Any]]:
    """Its rows, without what a clock says."""
    rows = room.rooms.jobs.metrics(room.rooms.tenant, job.id).items
    return [{name: value for name, value in row.items() if name != "samples_per_s"} for row in rows]


def told(job: Job) -> dict[str, Any]:
    """Its result, without its own names and times."""
    return {
        name: value for name, value in (job.result or {}).items() if name not in ("model_id", "seconds", "fused_with")
    }


def test_each_comes_to_what_it_comes_to_alone(room: AttemptRoom, alone: list[Job]) -> None:
    jobs = several(room)
    attempt(room).run()
    ended = now(room, jobs)
    assert hashes(ended) == hashes(alone)
    assert [plain(room, job) for job in ended] == [plain(room, job) for job in alone]
    assert [told(job) for job in ended] == [told(job) for job in alone]
    assert {(job.result or {})["fused_with"] for job in ended} == {3}
    models = [room.rooms.models.get(room.rooms.tenant, str((job.result or {})["model_id"])) for job in ended]
    assert [model["job_id"] for model in models] == [job.id for job in jobs]
    assert room.files("checkpoints") == []
    assert room.rooms.queue.running() == []


@pytest.mark.parametrize(("verb", "status"), [("cancel", JobStatus.CANCELLED), ("pause", JobStatus.PAUSED)])
def test_a_flag_of_one_is_obeyed_by_that_one(
    room: AttemptRoom, alone: list[Job], happens: Callable[[Job, Happening], None], verb: str, status: JobStatus
) -> None:
    jobs = several(room)
    happens(jobs[1], ask(room, verb))
    attempt(room).run()
    first, stopped, *others = now(room, jobs)
    assert stopped.status is status
    assert hashes([first, *others]) == [hash_ for place, hash_ in enumerate(hashes(alone)) if place != 1]
    if verb == "pause":
        assert stopped.checkpoint is not None
        assert stopped.checkpoint.step == LATE
        room.rooms.jobs.resume(room.rooms.tenant, stopped.id)
        room.run()
        assert hashes(now(room, [stopped])) == hashes(alone)[1:2]


def test_one_that_diverges_fails_and_the_others_go_on(room: AttemptRoom, alone: list[Job]) -> None:
    jobs = several(room)
    wild = submit(room, optimizer={"learning_rate": 1e9, "momentum": 0.9})
    attempt(room).run()
    assert hashes(now(room, jobs)) == hashes(alone)
    (failed,) = now(room, [wild])
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert failed.error["title"] == "Diverged"


def test_drained_all_go_back_with_a_checkpoint_and_on_from_it_together(
    room: AttemptRoom, alone: list[Job], happens: Callable[[Job, Happening], None]
) -> None:
    jobs = several(room)
    first = attempt(room)
    happens(jobs[0], lambda member: member.requests.drain("drained"))
    first.run()
    drained = now(room, jobs)
    assert {job.status for job in drained} == {JobStatus.QUEUED}
    assert all(job.checkpoint is not None and job.checkpoint.step >= LATE for job in drained)
    while room.rooms.queue.depth():
        attempt(room).run()
    ended = now(room, jobs)
    assert hashes(ended) == hashes(alone)
    assert [room.epochs(job) for job in ended] == [[1, 2, 3, 4]] * len(jobs)
    assert room.files("checkpoints") == []


def test_who_loses_his_lease_writes_nothing_more_and_the_others_all(
    room: AttemptRoom, alone: list[Job], happens: Callable[[Job, Happening], None]
) -> None:
    jobs = several(room)

    def lose(member: MemberAttempt) -> None:
        room.rooms.queue.expire(member.lease, 1, beat=None, reason="taken away")
        until(lambda: member.beat.lost, "the loss")

    happens(jobs[2], lose)
    attempt(room).run()
    *_, lost, last = now(room, jobs)
    assert lost.status is JobStatus.QUEUED
    assert set(room.epochs(lost)) <= {1, 2}  # those that a beat brought in time
    assert hashes([*now(room, jobs[:2]), last]) == [hash_ for place, hash_ in enumerate(hashes(alone)) if place != 2]


def test_a_fault_of_one_is_that_ones_alone(
    room: AttemptRoom, alone: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = several(room)
    succeed = MemberAttempt._succeed

    def fail_once(member: MemberAttempt, *given: Any) -> None:
        if member.lease.job_id == jobs[3].id:
            raise RuntimeError("a fault of this one")
        succeed(member, *given)

    monkeypatch.setattr(MemberAttempt, "_succeed", fail_once)
    attempt(room).run()
    *done, failed = now(room, jobs)
    assert hashes(done) == hashes(alone)[:3]
    assert failed.status is JobStatus.FAILED
    assert "a fault of this one" in str(failed.error)


def test_a_lease_that_is_lost_while_models_are_written_keeps_that_ones_end_alone(
    room: AttemptRoom, alone: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, record = several(room), room.rooms.queue.succeed_all

    def succeed_all(ends: Sequence[Success]) -> list[DeltaqError | None]:
        room.rooms.queue.expire(ends[1].lease, 1, beat=None, reason="taken away")
        return record(ends)

    monkeypatch.setattr(room.rooms.queue, "succeed_all", succeed_all)
    attempt(room).run()
    first, lost, *others = now(room, jobs)
    assert lost.status is JobStatus.QUEUED
    assert lost.result is None
    assert hashes([first, *others]) == [hash_ for place, hash_ in enumerate(hashes(alone)) if place != 1]


def test_ends_are_recorded_again_until_redis_takes_them(
    room: AttemptRoom, alone: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, record, asked = several(room), room.rooms.queue.succeed_all, list[int]()

    def succeed_all(ends: Sequence[Success]) -> list[DeltaqError | None]:
        asked.append(len(ends))
        answer = record(ends)
        if len(asked) == 1:
            raise RedisUnavailable("the answer is lost")
        return answer

    monkeypatch.setattr(room.rooms.queue, "succeed_all", succeed_all)
    attempt(room).run()
    assert asked == [len(jobs)] * 2
    assert hashes(now(room, jobs)) == hashes(alone)
    assert len(room.files("models")) == len(jobs) + len(alone)
