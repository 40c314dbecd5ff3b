"""The beat on the real Redis: what it carries there and back, while training goes on beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service.beat import ROWS_AT_ONCE, Beat
from service.errors import LeaseLost
from service.jobs import CheckpointRef, JobStatus, Lease
from service.redis_server import RedisServer
from service.store import Store, key
from tests.service.attempt_room import ended
from tests.service.families import until
from tests.service.rooms import Rooms

INTERVAL_S = 0.01


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """What the processes' own log got."""
    with capture_logs() as lines:
        yield lines


def silent() -> None:
    """No progress: the training has not begun."""


def beating(rooms: Rooms, lease: Lease) -> Beat:
    return Beat(rooms.queue, lease, INTERVAL_S, silent)


def checkpoint(step: int) -> CheckpointRef:
    return CheckpointRef(f"checkpoints/{step}", "0" * 64, step, {"numpy": "x"})


def epochs(rooms: Rooms, lease: Lease) -> list[int]:
    return [row["epoch"] for row in rooms.jobs.metrics(rooms.tenant, lease.job_id, limit=500).items]


def beats(rooms: Rooms) -> int:
    return rooms.queue.running()[0].beat


def test_it_renews_the_lease_by_itself_and_brings_back_what_is_asked(rooms: Rooms) -> None:
    lease = rooms.start()
    with beating(rooms, lease) as beat:
        until(lambda: beats(rooms) > 3, "some beats")
        beat.check()
        assert beat.requested is None
        rooms.jobs.request(rooms.tenant, lease.job_id, "pause")
        until(lambda: beat.requested == "pause", "the pause")
        rooms.jobs.resume(rooms.tenant, lease.job_id)
        until(lambda: beat.requested is None, "the pause taken back")
        rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
        until(lambda: beat.requested == "cancel", "the cancellation")
    assert f"beat-{lease.job_id}" not in {thread.name for thread in threading.enumerate()}


def test_rows_and_lines_arrive_in_order_and_each_once(rooms: Rooms) -> None:
    lease = rooms.start()
    count = 2 * ROWS_AT_ONCE + 50
    with beating(rooms, lease) as beat:
        for epoch in range(1, count + 1):
            beat.add_row({"epoch": epoch})
            if epoch % 100 == 0:
                beat.add_line("info", f"line {epoch}")
        beat.flush()
        assert epochs(rooms, lease) == list(range(1, count + 1))
    said = [event for event in rooms.events.read(lease.job_id, count=1000).events if event.type == "metrics"]
    assert len(said) == count
    lines = [line["message"] for line in rooms.jobs.logs(rooms.tenant, lease.job_id).items]
    assert lines == ["line 100", "line 200", "line 300", "line 400"]


def test_a_checkpoint_is_on_record_after_a_flush_and_gives_up_the_one_before(rooms: Rooms) -> None:
    lease = rooms.start()
    beat = beating(rooms, lease)  # it beats when it is told to, alone
    assert beat.add_checkpoint(checkpoint(1)) is None
    beat.flush()
    assert rooms.job(lease.job_id).checkpoint == checkpoint(1)
    assert not beat.superseded
    assert beat.add_checkpoint(checkpoint(2)) is None
    assert beat.add_checkpoint(checkpoint(3)) == checkpoint(2)
    beat.flush()
    assert rooms.job(lease.job_id).checkpoint == checkpoint(3)
    assert list(beat.superseded) == [checkpoint(1)]


def test_progress_is_shown_at_once_then_each_second_that_has_news_and_at_the_last(rooms: Rooms) -> None:
    lease = rooms.start()
    now, progress = [100.0], {"step": 1}

    def shown() -> list[int]:
        events = rooms.events.read(lease.job_id).events
        return [orjson.loads(event.data)["step"] for event in events if event.type == "progress"]

    def reach(step: int, at: float) -> None:
        now[0] = at
        progress["step"] = step
        until(lambda: rooms.job(lease.job_id).progress.get("step") == step, "the record's progress")
        seen = beats(rooms)
        until(lambda: beats(rooms) > seen + 1, "two more beats")

    with Beat(rooms.queue, lease, INTERVAL_S, lambda: dict(progress), clock=lambda: now[0]) as beat:
        reach(1, at=100.0)
        assert shown() == [1]
        reach(2, at=100.9)
        assert shown() == [1]
        reach(2, at=101.0)
        assert shown() == [1, 2]
        reach(2, at=109.0)
        assert shown() == [1, 2]
        reach(3, at=109.0)
        reach(4, at=109.1)
        assert shown() == [1, 2, 3]
        beat.flush()
        beat.flush()
        assert shown() == [1, 2, 3, 4]


def test_a_lease_that_is_another_s_ends_it_and_nothing_is_written(rooms: Rooms) -> None:
    lease = rooms.start()
    with beating(rooms, lease) as beat:
        until(lambda: beats(rooms) > 0, "a beat")
        rooms.queue.expire(lease, 1, beat=None, reason="taken away")
        until(lambda: ended(beat), "its end")
        assert rooms.claim().job.id == lease.job_id
        with pytest.raises(LeaseLost, match=lease.job_id):
            beat.check()
        beat.add_row({"epoch": 1})
        beat.add_checkpoint(checkpoint(1))
        with pytest.raises(LeaseLost):
            beat.flush()
    assert epochs(rooms, lease) == []
    job = rooms.job(lease.job_id)
    assert (job.status, job.checkpoint) == (JobStatus.RUNNING, None)


def test_insisting_learns_of_a_lost_lease_too(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.queue.expire(lease, 1, beat=None, reason="taken away")
    beat = beating(rooms, lease)
    with pytest.raises(LeaseLost):
        beat.insist(lambda: rooms.queue.log(lease, "info", "late"))
    with pytest.raises(LeaseLost):
        beat.check()


def test_what_else_ends_it_is_kept_and_said(rooms: Rooms, logged: list[EventDict]) -> None:
    lease = rooms.start()
    rooms.store.command("SET", key("job", lease.job_id, "metrics"), "no list")
    with beating(rooms, lease) as beat:
        beat.add_row({"epoch": 1})
        until(lambda: ended(beat), "its end")
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            beat.check()
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            beat.flush()
    assert [(line["event"], line["job"]) for line in logged] == [("the beat failed", lease.job_id)]


class TestRedisAway:
    """The rooms here are on a Redis of their own, to be killed."""

    @pytest.fixture
    def server(self, tmp_path: Path, runtime_dir: Path) -> Iterator[RedisServer]:
        folder = runtime_dir / "beat"
        folder.mkdir(exist_ok=True)
        with RedisServer(tmp_path / "data", folder) as server:
            yield server

    @pytest.fixture
    def store(self, server: RedisServer) -> Iterator[Store]:
        store = Store(server.url)
        yield store
        store.close()

    def test_what_was_added_meanwhile_is_recorded_when_it_is_back(self, rooms: Rooms, server: RedisServer) -> None:
        lease = rooms.start()
        with beating(rooms, lease) as beat:
            until(lambda: beats(rooms) > 0, "a beat")
            server.kill()
            for epoch in range(1, 6):
                beat.add_row({"epoch": epoch})
            beat.add_line("warning", "away")
            tried, last = self.offer_until_one_is_tried(beat)
            assert beat.add_checkpoint(checkpoint(last + 1)) == checkpoint(last)  # that one was not tried
            beat.check()
            server.start()
            until(lambda: rooms.job(lease.job_id).checkpoint == checkpoint(last + 1), "the newest checkpoint")
            until(lambda: beat.superseded, "the word that the one before may go")
            assert list(beat.superseded) == [checkpoint(tried)]
            assert epochs(rooms, lease) == [1, 2, 3, 4, 5]
            rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
            until(lambda: beat.requested == "cancel", "the cancellation")
            beat.check()
        assert [line["message"] for line in rooms.jobs.logs(rooms.tenant, lease.job_id).items] == ["away"]

    def test_a_flush_waits_until_it_is_back(self, rooms: Rooms, server: RedisServer) -> None:
        lease = rooms.start()
        beat = beating(rooms, lease)
        server.kill()
        beat.add_row({"epoch": 1})
        with ThreadPoolExecutor(1) as threads:
            flushed = threads.submit(beat.flush)
            with pytest.raises(TimeoutError):
                flushed.result(timeout=0.3)
            server.start()
            flushed.result(timeout=10)
        assert epochs(rooms, lease) == [1]

    def offer_until_one_is_tried(self, beat: Beat) -> tuple[int, int]:
        """Offer checkpoints 1, 2 … until the beat has taken one; answers that one's step, and the last one's."""
        beat.add_checkpoint(checkpoint(1))
        step = 1

        def taken() -> bool:
            nonlocal step
            step += 1
            return beat.add_checkpoint(checkpoint(step)) is None

        until(taken, "a try to record one")
        return step - 1, step
