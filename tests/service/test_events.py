"""The event streams: in order, from any place, and honest about what they no longer keep."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import orjson
import pytest

from service import events as service_events
from service.errors import InvalidRequest, JobNotFound
from service.events import BEGINNING, END, Event, Hint, Hints
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
    assert (whole.missed, whole.ended, whole.complete) == (False, True, True)
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


def told(events: list[Event]) -> list[tuple[str, str, Any]]:
    """Job, type and data of events of many jobs."""
    return [(said["job"], event.type, said["data"]) for event in events for said in [orjson.loads(event.data)]]


def test_a_tenants_stream_has_the_events_of_all_its_jobs_in_their_order(rooms: Rooms) -> None:
    one, two = rooms.start(), rooms.start()
    rooms.queue.record_epoch(two, {"epoch": 1})
    rooms.queue.record_epoch(one, {"epoch": 1, "train_loss": float("nan")})
    rooms.queue.log(two, "info", "a line with ü")
    rooms.succeed(two)
    whole = rooms.events.read_all("ada")
    one_id, two_id = one.job_id, two.job_id
    assert [(job, kind) for job, kind, _ in told(whole.events)] == [
        *[(one_id, "status")] * 2,
        *[(two_id, "status")] * 2,
        (two_id, "metrics"),
        (one_id, "metrics"),
        (two_id, "log"),
        (two_id, "status"),
    ]
    for job_id in (one_id, two_id):
        own = [(job_id, event.type, orjson.loads(event.data)) for event in rooms.events.read(job_id).events]
        assert [event for event in told(whole.events) if event[0] == job_id] == own
        assert rooms.events.read_all("ada", job_ids=[job_id]).events == [
            event for event in whole.events if orjson.loads(event.data)["job"] == job_id
        ]
    assert (whole.missed, whole.at_end, whole.ended) == (False, True, False)  # without names there is no end


@pytest.mark.parametrize("count", [1, 2, 500])
def test_it_can_be_read_on_from_anywhere_whichever_jobs_are_named(rooms: Rooms, count: int) -> None:
    leases = [rooms.start() for _ in range(3)]
    for epoch in (1, 2, 3):
        for lease in leases:
            rooms.queue.record_epoch(lease, {"epoch": epoch})
    for lease in leases:
        rooms.succeed(lease)
    everything = [event.id for event in rooms.events.read_all("ada").events]
    assert len(everything) == 18
    ids = [lease.job_id for lease in leases]
    for named in ([], ids[:1], ids[1:], ids):
        events = rooms.events.read_all("ada", job_ids=named).events
        for seen_ids in (everything[:number] for number in range(19)):  # those of other jobs are places too
            place = seen_ids[-1] if seen_ids else BEGINNING
            seen, part = list[Event](), rooms.events.read_all("ada", place, named, count)
            while not part.at_end:
                assert part.events
                assert not part.complete
                seen += part.events
                part = rooms.events.read_all("ada", part.reached, named, count)
            assert seen + part.events == [event for event in events if event.id not in seen_ids]
            assert part.complete == bool(named)


def test_the_end_of_named_jobs_is_the_end_of_the_last_one(rooms: Rooms) -> None:
    one, two = rooms.start(), rooms.start()
    named = [one.job_id, two.job_id]
    rooms.succeed(one)
    assert not rooms.events.read_all("ada", job_ids=named).ended
    assert rooms.events.read_all("ada", job_ids=named[:1]).complete
    rooms.jobs.request("ada", two.job_id, "cancel")
    assert not rooms.events.read_all("ada", job_ids=named).ended
    rooms.queue.release(two, "cancelled")
    whole = rooms.events.read_all("ada", job_ids=named)
    assert whole.complete
    assert not whole.silent
    rooms.accept()  # what others do says nothing of these
    rest = rooms.events.read_all("ada", whole.events[-1].id, named)
    assert (rest.events, rest.complete, rest.silent) == ([], True, True)
    rooms.jobs.retry("ada", two.job_id)
    again = rooms.events.read_all("ada", rest.reached, named)
    assert [event.type for event in again.events] == ["status"]
    assert not again.ended


def test_a_tenant_reads_nothing_of_anothers(rooms: Rooms) -> None:
    rooms.dataset = rooms.add_dataset("everybody's", tenant=None)
    mine, theirs = rooms.accept(), rooms.accept(tenant="bob")
    assert [job for job, _, _ in told(rooms.events.read_all("ada").events)] == [mine.id]
    assert [job for job, _, _ in told(rooms.events.read_all("bob").events)] == [theirs.id]
    assert rooms.events.read_all("ad").events == []
    assert [job.id for job in rooms.events.jobs_now("bob")] == [theirs.id]
    for read in (
        lambda *ids: rooms.events.read_all("ada", job_ids=ids),
        lambda *ids: rooms.events.jobs_now("ada", ids),
    ):
        for other in (theirs.id, new_id("job"), "*", "", " ", f"{mine.id} {theirs.id}", "\ud800"):
            with pytest.raises(JobNotFound):
                read(mine.id, other)


def test_what_a_tenants_stream_no_longer_has_is_missed(rooms: Rooms) -> None:
    early = rooms.accept()
    rooms.jobs.request("ada", early.id, "cancel")
    first = rooms.events.read_all("ada").events[0]
    lease = rooms.start()
    for begin in range(1, 20_500, 2500):
        rooms.queue.record_epochs(lease, [{"epoch": epoch} for epoch in range(begin, begin + 2500)])
    late = rooms.events.read_all("ada", first.id)
    assert late.missed
    assert len(late.events) == 500
    assert not rooms.events.read_all("ada", late.reached).missed
    newest = rooms.jobs.metrics("ada", lease.job_id).items  # the job's own record is whole
    assert newest[0] == {"epoch": 1}
    kept = rooms.store.command("XLEN", "deltaq:events:ada")
    assert 20_000 <= kept < 21_000
    gone = rooms.events.read_all("ada", first.id, [early.id])  # nothing of this job is kept
    assert (gone.events, gone.missed, gone.complete, gone.silent) == ([], True, True, False)
    after = rooms.events.read_all("ada", gone.reached, [early.id])
    assert (after.missed, after.silent) == (False, True)


def test_the_place_after_everything_is_one_to_read_on_from(rooms: Rooms) -> None:
    assert (rooms.events.read_all("ada", END).events, rooms.events.read_all("ada", END).last_id) == ([], BEGINNING)
    rooms.accept()
    ahead = rooms.events.read_all("ada", END)
    assert ahead.events == []
    assert ahead.last_id == rooms.events.read_all("ada").events[-1].id


@pytest.mark.parametrize("after", ["x", "1-2-3", "99999999999999999999999"])
def test_what_is_no_event_id_is_refused_for_many_jobs_too(rooms: Rooms, after: str) -> None:
    with pytest.raises(InvalidRequest, match="Last-Event-ID"):
        rooms.events.read_all("ada", after)


def test_the_jobs_now_are_those_named_or_those_that_live(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = rooms.bring_to(JobStatus.SUCCEEDED).job_id
    paused = rooms.bring_to(JobStatus.PAUSED).job_id
    running = rooms.bring_to(JobStatus.RUNNING).job_id
    older, newer = rooms.accept().id, rooms.accept().id
    assert [job.id for job in rooms.events.jobs_now("ada")] == [running, paused, newer, older]
    assert rooms.events.jobs_now("ada", [older, ended]) == [rooms.job(older), rooms.job(ended)]
    monkeypatch.setattr(service_events, "_MOST_SHOWN", 3)
    assert [job.id for job in rooms.events.jobs_now("ada")] == [running, paused, newer]
    monkeypatch.setattr(service_events, "_MOST_SHOWN", 1)
    assert [job.id for job in rooms.events.jobs_now("ada")] == [running]
    assert len(rooms.events.jobs_now("ada", [older, newer])) == 2


def test_each_write_gives_a_hint(rooms: Rooms) -> None:
    with Hints(rooms.store) as hints:
        lease = rooms.start()
        hint = Hint("ada", lease.job_id)
        assert [hints.next(2), hints.next(2)] == [hint] * 2
        rooms.queue.beat(lease)  # no news, no event
        assert hints.next(0.05) is None
        rooms.queue.record_epoch(lease, {"epoch": 1})
        assert hints.next(2) == hint
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
