"""The event streams: in order, from any place, and honest about what they no longer keep."""

from __future__ import annotations

import time
from contextlib import closing

import orjson
import pytest

from service.errors import InvalidRequest, JobNotFound
from service.events import BEGINNING, Hints
from service.ids import new_id
from service.jobs import JobStatus
from service.store import Store
from tests.service.rooms import Rooms


def test_the_stream_tells_the_whole_life_and_can_be_read_on_from_anywhere(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.queue.beat(lease, {"step": 1, "eta_s": float("nan")})
    rooms.queue.record_epoch(lease, {"epoch": 1})
    rooms.queue.log(lease, "warning", "a constant column")
    rooms.succeed(lease)
    whole = rooms.events.read(lease.job_id)
    assert [event.type for event in whole.events] == ["status", "status", "progress", "metrics", "log", "status"]
    assert orjson.loads(whole.events[2].data) == {"step": 1, "eta_s": None}
    assert (whole.missed, whole.status, whole.complete) == (False, JobStatus.SUCCEEDED, True)
    assert whole.last_id == whole.events[-1].id
    for place, event in enumerate(whole.events):
        rest = rooms.events.read(lease.job_id, after=event.id)
        assert rest.events == whole.events[place + 1 :]
        one = rooms.events.read(lease.job_id, after=event.id, count=1)
        assert one.events == whole.events[place + 1 : place + 2]
        assert one.complete == (place >= len(whole.events) - 2)


def test_the_status_event_is_the_jobs_public_status_line(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.jobs.request("ada", lease.job_id, "pause")
    said = orjson.loads(rooms.events.read(lease.job_id).events[-1].data)
    job = rooms.job(lease.job_id)
    assert said == {
        "id": job.id,
        "status": "running",
        "attempt": 1,
        "requested": "pause",
        "started_at": job.started_at,
        "finished_at": None,
        "result": None,
        "error": None,
    }
    model_id = rooms.succeed(lease)
    said = orjson.loads(rooms.events.read(lease.job_id).events[-1].data)
    assert said["result"] == {"model_id": model_id}
    assert said["finished_at"] == rooms.job(lease.job_id).finished_at


def test_what_is_older_than_what_is_kept_is_missed(rooms: Rooms) -> None:
    lease = rooms.start()
    first = rooms.events.read(lease.job_id).events[0]
    for step in range(2100):
        rooms.queue.beat(lease, {"step": step})
    late = rooms.events.read(lease.job_id, after=first.id)
    assert late.missed
    assert len(late.events) == 500
    assert orjson.loads(late.events[0].data) == {"step": 100}
    newest = rooms.events.read(lease.job_id, after=late.events[0].id)
    assert not newest.missed
    assert newest.events[0] == late.events[1]
    assert not newest.complete


@pytest.mark.parametrize(
    "after", ["x", "", "-", "+", "$", "1-", "-1", "1-2-3", "99999999999999999999999", "1-x", "٣-0", "(1"]
)
def test_what_is_no_event_id_is_refused_by_name(rooms: Rooms, after: str) -> None:
    job = rooms.accept()
    with pytest.raises(InvalidRequest, match="Last-Event-ID"):
        rooms.events.read(job.id, after=after)


def test_an_id_from_the_future_waits_for_what_comes_after_it(rooms: Rooms) -> None:
    job = rooms.accept()
    ahead = rooms.events.read(job.id, after=f"{2**63}-0")
    assert (ahead.events, ahead.missed, ahead.complete) == ([], False, False)


def test_a_job_that_is_not_there_has_no_stream(rooms: Rooms) -> None:
    with pytest.raises(JobNotFound):
        rooms.events.read(new_id("job"), BEGINNING)


def test_each_write_gives_a_hint(rooms: Rooms) -> None:
    with Hints(rooms.store) as hints:
        lease = rooms.start()
        assert [hints.next(2), hints.next(2)] == [lease.job_id] * 2
        rooms.queue.beat(lease)  # no news, no event
        assert hints.next(0.05) is None
        rooms.queue.record_epoch(lease, {"epoch": 1})
        assert hints.next(2) == lease.job_id
        rooms.queue.record_epoch(lease, {"epoch": 1})
        assert hints.next(0.05) is None


def test_listeners_leave_no_connection_behind(rooms: Rooms, redis_url: str) -> None:
    with closing(Store(redis_url)) as observer:  # whose own connection stays the same

        def connections() -> int:
            return int(observer.command("INFO", "clients")["connected_clients"])

        before = connections()
        listeners = [Hints(rooms.store) for _ in range(20)]
        assert connections() >= 20
        for listener in listeners:
            listener.close()
        deadline = time.monotonic() + 5
        while connections() > before and time.monotonic() < deadline:
            time.sleep(0.01)  # the server sees the end of each a moment later
        assert connections() <= before
