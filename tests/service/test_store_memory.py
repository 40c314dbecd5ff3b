"""Redis at its memory limit: no new work is taken, and the work that was taken goes on to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import service.store
from service.artifacts import Artifacts
from service.builtin import install_builtins
from service.errors import Diverged, StoreUnavailable
from service.ids import new_id
from service.jobs import CheckpointRef, JobStatus
from service.migrations import check_schema
from service.store import Store
from tests.service.attempt_room import AttemptRoom, ObservedAttempt
from tests.service.families import until
from tests.service.rooms import Rooms

ACCEPTS_WORK = {"accept", "retry", "create_dataset", "set_alias", "create_sweep", "extend_sweep", "fail_trial"}


@pytest.fixture
def limit(store: Store) -> Iterator[Callable[[int], None]]:
    """A call that sets the memory limit of Redis, in bytes; 0 lifts it."""

    def set_limit(size_bytes: int) -> None:
        store.command("CONFIG", "SET", "maxmemory", size_bytes)

    yield set_limit
    set_limit(0)


def test_a_full_redis_takes_no_new_work_and_keeps_no_trace_of_it(rooms: Rooms, limit: Callable[[int], None]) -> None:
    ended = rooms.bring_to(JobStatus.FAILED)
    limit(1)
    before = sorted(rooms.store.command("KEYS", "*"))
    for attempt in (
        rooms.accept,
        lambda: rooms.jobs.retry("ada", ended.job_id, "start"),
        lambda: rooms.datasets.create({"id": new_id("ds"), "tenant": "ada", "name": "new"}, "identity"),
    ):
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            attempt()
    assert sorted(rooms.store.command("KEYS", "*")) == before
    assert rooms.status(ended.job_id) is JobStatus.FAILED
    limit(0)
    assert rooms.jobs.retry("ada", ended.job_id, "start").status is JobStatus.QUEUED


def test_in_a_full_redis_jobs_go_on_and_end(rooms: Rooms, limit: Callable[[int], None]) -> None:
    waiting = [rooms.accept() for _ in range(6)]
    unused = rooms.add_dataset("unused")
    limit(1)
    rooms.store.command("SCRIPT", "FLUSH")  # as when it starts again, and is full from its first moment
    assert rooms.queue.lead("me", 1.0) == 1
    lease = rooms.claim().lease
    assert rooms.queue.beat(lease, {"step": 1}) is None
    assert rooms.queue.record_epoch(lease, {"epoch": 1})
    assert rooms.queue.record_checkpoint(lease, CheckpointRef("path", "0" * 64, 1, {})) is None
    rooms.queue.log(lease, "info", "going on")
    rooms.datasets.record_prepared(rooms.dataset.id, "split 0", {"path": "a"})
    assert rooms.datasets.forget_prepared(rooms.dataset.id, "split 0", {"path": "a"})
    rooms.queue.publish_cluster(1, {"nodes": []})
    rooms.queue.begin_again(lease, CheckpointRef("gone", "0" * 64, 1, {}), "its checkpoint is gone")
    rooms.succeed(lease)
    assert rooms.queue.release(rooms.claim().lease, "drained") is JobStatus.QUEUED
    rooms.queue.expire(rooms.claim().lease, 1, beat=0, reason="no sign of life")
    rooms.jobs.request("ada", waiting[1].id, "pause")
    rooms.jobs.resume("ada", waiting[1].id)
    rooms.jobs.request("ada", waiting[2].id, "cancel")
    rooms.queue.fail(failed := rooms.claim().lease, Diverged("the loss is not finite"))
    assert rooms.status(failed.job_id) is JobStatus.FAILED
    assert rooms.status(lease.job_id) is JobStatus.SUCCEEDED
    assert len(rooms.jobs.list("ada").items) == 6
    assert rooms.queue.wait_for_work(1)
    rooms.models.delete("ada", rooms.models.list("ada").items[0]["id"])
    rooms.datasets.delete("ada", unused.id)
    rooms.queue.resign("me")


def test_in_a_full_redis_attempts_at_jobs_go_on_from_their_checkpoints_and_end(
    store: Store, tmp_path: Path, limit: Callable[[int], None]
) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0)
    job = room.submit()

    def pause(attempt: ObservedAttempt) -> None:
        room.rooms.jobs.request(room.rooms.tenant, job.id, "pause")
        until(lambda: attempt.beat.requested == "pause", "the pause")

    limit(1)
    paused = room.run({6: pause})
    assert paused.status is JobStatus.PAUSED
    assert paused.checkpoint is not None
    room.rooms.jobs.resume(room.rooms.tenant, job.id)
    ended = room.run()
    assert (ended.status, ended.attempt) == (JobStatus.SUCCEEDED, 2)
    assert room.epochs(ended) == [1, 2, 3, 4]
    assert ended.result is not None
    assert room.models.load(room.rooms.tenant, ended.result["model_id"]).document["job_id"] == job.id


def test_a_scheduler_that_starts_on_a_full_redis_finds_all_that_it_needs(
    rooms: Rooms, tmp_path: Path, limit: Callable[[int], None]
) -> None:
    artifacts = Artifacts((tmp_path / "artifacts").as_uri())
    check_schema(rooms.store)
    before = install_builtins(rooms.datasets, artifacts)
    limit(1)
    check_schema(rooms.store)
    assert install_builtins(rooms.datasets, artifacts) == before


def test_only_the_steps_that_take_new_work_may_be_refused_for_memory() -> None:
    folder = Path(service.store.__file__).parent / "lua"
    first_lines = {
        path.stem: path.read_text().splitlines()[0]
        for path in folder.glob("*.lua")
        if path.stem not in ("prelude", "sweeps")
    }
    assert len(first_lines) > 20
    for line in first_lines.values():
        assert re.fullmatch(r"#!lua( flags=(no-writes|allow-oom))?", line)
    assert {name for name, line in first_lines.items() if line == "#!lua"} == ACCEPTS_WORK
