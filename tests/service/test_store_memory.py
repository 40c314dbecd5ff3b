"""Redis at its memory limit: no new work is taken, and the work that was taken goes on to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import service.store
from service.errors import StoreUnavailable
from service.ids import new_id
from service.jobs import CheckpointRef, JobStatus
from service.store import Store
from tests.service.rooms import Rooms

ACCEPTS_WORK = {"accept", "retry", "create_dataset"}


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
    waiting = [rooms.accept() for _ in range(5)]
    limit(1)
    assert rooms.queue.lead("me", 1.0) == 1
    lease = rooms.claim().lease
    assert rooms.queue.beat(lease, {"step": 1}) is None
    assert rooms.queue.record_epoch(lease, {"epoch": 1})
    assert rooms.queue.record_checkpoint(lease, CheckpointRef("path", "0" * 64, 1, {})) is None
    rooms.queue.log(lease, "info", "going on")
    rooms.datasets.record_prepared(rooms.dataset.id, "split 0", {"path": "a"})
    rooms.queue.publish_cluster(1, {"nodes": []})
    rooms.succeed(lease)
    assert rooms.queue.release(rooms.claim().lease, "drained") is JobStatus.QUEUED
    rooms.queue.expire(rooms.claim().lease, 1, beat=0, reason="no sign of life")
    rooms.jobs.request("ada", waiting[1].id, "pause")
    rooms.jobs.resume("ada", waiting[1].id)
    rooms.jobs.request("ada", waiting[2].id, "cancel")
    assert rooms.status(lease.job_id) is JobStatus.SUCCEEDED
    assert len(rooms.jobs.list("ada").items) == 5
    assert rooms.queue.wait_for_work(1)
    rooms.models.delete("ada", rooms.models.list("ada").items[0]["id"])
    rooms.queue.resign("me")


def test_only_the_steps_that_take_new_work_may_be_refused_for_memory() -> None:
    folder = Path(service.store.__file__).parent / "lua"
    first_lines = {
        path.stem: path.read_text().splitlines()[0] for path in folder.glob("*.lua") if path.stem != "prelude"
    }
    assert len(first_lines) > 20
    for line in first_lines.values():
        assert re.fullmatch(r"#!lua( flags=(no-writes|allow-oom))?", line)
    assert {name for name, line in first_lines.items() if line == "#!lua"} == ACCEPTS_WORK
