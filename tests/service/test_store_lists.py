"""Lists and cursors: what matched throughout comes exactly once, whatever happens meanwhile."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import job_records
from service.cursors import Page, decode_cursor, encode_cursor
from service.errors import Conflict, Diverged, InvalidRequest, JobNotFound
from service.ids import new_id
from service.jobs import JobStatus
from tests.service.rooms import Rooms


def everything(first: Any, **filters: Any) -> list[Any]:
    """The items of all pages."""
    items, cursor = [], None
    while True:
        page: Page[Any] = first(cursor=cursor, **filters)
        items += page.items
        if page.next_cursor is None:
            return items
        cursor = page.next_cursor


def test_pages_are_newest_first_and_end(rooms: Rooms) -> None:
    made = [rooms.accept().id for _ in range(10)]
    for limit in (1, 3, 5, 10, 500):
        pages = everything(lambda **where: rooms.jobs.list("ada", **where), limit=limit)
        assert [job.id for job in pages] == made[::-1]
    assert rooms.jobs.list("ada", limit=10).next_cursor is None
    assert rooms.jobs.list("bob").items == []


@pytest.mark.parametrize(
    "filters", [{}, {"status": "queued"}, {"tag": "kept"}, {"status": "queued", "tag": "kind=kept"}]
)
def test_what_matched_throughout_comes_once_while_jobs_are_made_cancelled_and_finish(
    rooms: Rooms, filters: Any
) -> None:
    chance = random.Random(7)
    rooms.dataset = rooms.add_dataset("everybody's", tenant=None)
    for number in range(120):
        rooms.accept(tags={"kept": "", "kind": "kept"} if number % 3 else {"other": "x"})
    rooms.accept(tenant="bob", tags={"kept": "", "kind": "kept"})

    def matching() -> set[str]:
        return {job.id for job in everything(lambda **where: rooms.jobs.list("ada", limit=500, **where), **filters)}

    throughout = matching()
    assert throughout
    seen: list[str] = []
    cursor = None
    while True:
        page = rooms.jobs.list("ada", cursor=cursor, limit=7, **filters)
        seen += [job.id for job in page.items]
        if (cursor := page.next_cursor) is None:
            break
        for _ in range(3):
            rooms.accept(tags={"kept": "", "kind": "kept"})
        with suppress(Conflict):
            rooms.jobs.request("ada", chance.choice(sorted(throughout)), "cancel")
        lease = rooms.claim().lease
        if chance.random() < 0.5:
            rooms.succeed(lease)
        else:
            rooms.queue.fail(lease, Diverged("no"))
        throughout &= matching()
    assert len(seen) == len(set(seen))
    assert throughout <= set(seen)


def test_a_filter_by_two_walks_on_in_bounded_steps(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_records, "_WALK", 4)
    kept = [rooms.accept(tags={"kept": ""}).id for _ in range(3)]
    for _ in range(20):
        rooms.accept()
        rooms.jobs.request("ada", rooms.accept(tags={"kept": ""}).id, "cancel")
    for limit in (1, 2, 3, 50):
        found = everything(
            lambda **where: rooms.jobs.list("ada", **where), status=JobStatus.QUEUED, tag="kept", limit=limit
        )
        assert [job.id for job in found] == kept[::-1]
    assert rooms.jobs.list("ada", status=JobStatus.QUEUED, tag="kept").next_cursor is None


@pytest.mark.parametrize("tag", ["a:b", "a%b", "*", "ünï✓", " "])
def test_a_tag_is_found_as_it_is_and_as_nothing_else(rooms: Rooms, tag: str) -> None:
    job = rooms.accept(tags={tag: "its=value"})
    rooms.accept(tags={"other": tag})
    assert [one.id for one in rooms.jobs.list("ada", tag=tag).items] == [job.id]
    assert [one.id for one in rooms.jobs.list("ada", tag=f"{tag}=its=value").items] == [job.id]
    assert rooms.jobs.list("ada", tag=f"{tag}=its").items == []
    assert rooms.jobs.list("ada", tag="\ud800").items == []


def test_no_tenant_and_no_tag_reach_into_another_key(rooms: Rooms) -> None:
    rooms.dataset = rooms.add_dataset("d", tenant="ada:b")
    job = rooms.accept(tenant="ada:b", tags={"c": ""})
    assert rooms.jobs.list("ada", tag="b:c").items == []
    assert [one.id for one in rooms.jobs.list("ada:b", tag="c").items] == [job.id]
    assert rooms.jobs.list("ada%3Ab").items == []


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!",
        "é",
        "a" * 5000,
        "MTIz",
        base64.urlsafe_b64encode(b"7.").decode(),
        base64.b64encode(b"-1." + b"0" * 16).decode(),
    ],
)
def test_a_broken_cursor_is_refused_by_name(rooms: Rooms, cursor: str) -> None:
    job = rooms.accept()
    lists: list[Callable[[], object]] = [
        lambda: rooms.jobs.list("ada", cursor=cursor),
        lambda: rooms.datasets.list("ada", cursor=cursor),
        lambda: rooms.models.list("ada", cursor=cursor),
        lambda: rooms.jobs.metrics("ada", job.id, cursor=cursor),
        lambda: rooms.jobs.logs("ada", job.id, cursor=cursor),
    ]
    for call in lists:
        with pytest.raises(InvalidRequest, match=r"^cursor ") as refused:
            call()
        assert [error.pointer for error in refused.value.errors] == ["/cursor"]
        assert len(refused.value.detail) < 400


def test_a_cursor_of_another_list_filter_or_tenant_is_refused(rooms: Rooms) -> None:
    for _ in range(3):
        rooms.accept()
    cursor = rooms.jobs.list("ada", status=JobStatus.QUEUED, limit=1).next_cursor
    assert len(rooms.jobs.list("ada", status=JobStatus.QUEUED, cursor=cursor).items) == 2
    for elsewhere in (
        lambda: rooms.jobs.list("ada", cursor=cursor),
        lambda: rooms.jobs.list("ada", status=JobStatus.PAUSED, cursor=cursor),
        lambda: rooms.jobs.list("ada", status=JobStatus.QUEUED, tag="a", cursor=cursor),
        lambda: rooms.jobs.list("bob", status=JobStatus.QUEUED, cursor=cursor),
        lambda: rooms.models.list("ada", cursor=cursor),
    ):
        with pytest.raises(InvalidRequest, match=r"^cursor "):
            elsewhere()


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_limit_out_of_range_is_refused_by_name(rooms: Rooms, limit: int) -> None:
    with pytest.raises(InvalidRequest, match=f"limit is {limit}; allowed is a whole number from 1 to 500"):
        rooms.jobs.list("ada", limit=limit)


@given(position=st.integers(0, 2**53 - 1), scope=st.tuples(st.text(), st.text(), st.none() | st.text()))
def test_a_cursor_gives_its_position_back_to_its_own_list(position: int, scope: tuple[str, str, str | None]) -> None:
    cursor = encode_cursor(position, scope)
    assert decode_cursor(cursor, scope) == position
    with pytest.raises(InvalidRequest):
        decode_cursor(cursor, (*scope, "more"))


def test_metrics_and_logs_come_oldest_first_in_pages(rooms: Rooms) -> None:
    lease = rooms.start()
    for epoch in range(1, 12):
        rooms.queue.record_epoch(lease, {"epoch": epoch})
        rooms.queue.log(lease, "info", f"epoch {epoch}")
    rows = everything(lambda **where: rooms.jobs.metrics("ada", lease.job_id, **where), limit=4)
    assert [row["epoch"] for row in rows] == list(range(1, 12))
    lines = everything(lambda **where: rooms.jobs.logs("ada", lease.job_id, **where), limit=4)
    assert [line["message"] for line in lines] == [f"epoch {epoch}" for epoch in range(1, 12)]
    assert set(lines[0]) == {"at", "level", "message"}
    assert rooms.jobs.metrics("ada", lease.job_id, limit=11).next_cursor is None


BAD_IDS = [
    "",
    "job-",
    "job:x",
    "*",
    "../../etc/passwd",
    "job-\0",
    "job-" + "A" * 20,
    "job-" + "a" * 21,
    "\ud800",
    "deltaq:queue",
]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_what_is_no_id_is_not_found_and_touches_nothing(rooms: Rooms, bad: str) -> None:
    before = sorted(rooms.store.command("KEYS", "*"))
    for verb in (rooms.jobs.get, rooms.jobs.metrics, rooms.jobs.logs, rooms.jobs.resume, rooms.jobs.retry):
        with pytest.raises(JobNotFound) as missing:
            verb("ada", bad)
        missing.value.detail.encode()  # can be answered
    assert sorted(rooms.store.command("KEYS", "*")) == before


def test_another_tenants_job_is_not_found_by_any_verb(rooms: Rooms) -> None:
    job = rooms.accept()
    verbs: list[Callable[[str, str], object]] = [
        rooms.jobs.get,
        rooms.jobs.metrics,
        rooms.jobs.logs,
        rooms.jobs.resume,
        rooms.jobs.retry,
        lambda tenant, job_id: rooms.jobs.request(tenant, job_id, "cancel"),
        lambda tenant, job_id: rooms.jobs.request(tenant, job_id, "pause"),
    ]
    for job_id in (job.id, new_id("job")):
        for verb in verbs:
            with pytest.raises(JobNotFound, match=job_id):
                verb("bob", job_id)
    assert rooms.job(job.id) == job
    assert rooms.status(job.id) is JobStatus.QUEUED
