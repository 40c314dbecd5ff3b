"""Event streams: the decoder on any cut of the bytes, the reader over losses, restarts and silence."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaq.client import Client
from deltaq.connection import Connection
from deltaq.errors import NotFound, Unreachable, WaitTimeout
from deltaq.events import Event, EventReader, decode
from tests.deltaq.scripted import Scripted, problem, says, streams

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def wire(events: list[tuple[str, str]], end: str) -> bytes:
    """Events as a service writes them, a comment before each."""
    frames = (
        f": still here{end}id: {number}-0{end}event: {name}{end}data: {json.dumps(text, ensure_ascii=False)}{end}{end}"
        for number, (name, text) in enumerate(events)
    )
    return "".join([f"retry: 2000{end}{end}", *frames]).encode()


@given(
    st.lists(st.tuples(st.sampled_from(["status", "log"]), TEXT), max_size=5),
    st.sampled_from(["\n", "\r\n"]),
    st.data(),
)
def test_events_are_the_same_however_the_stream_is_cut(
    events: list[tuple[str, str]], end: str, data: st.DataObject
) -> None:
    content = wire(events, end)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    pieces = [content[start:stop] for start, stop in pairwise([0, *cuts, len(content)])]
    found = [event for event in decode(pieces) if event]
    assert [(event.name, event.data) for event in found] == events
    assert [event.id for event in found] == [f"{number}-0" for number in range(len(events))]


def test_the_decoder_follows_the_format() -> None:
    stream = b"data: 1\ndata: 2\n\nevent: x\n\ndata:[0]\nid\n\nid: a\0b\ndata: {\n\nevent: cut\ndata: off"
    found = [event for event in decode([stream]) if event]
    assert found == [Event("message", "1\n2"), Event("message", [0]), Event("message", "{")]
    assert found[1].id == ""


def event(number: int, status: str = "running") -> bytes:
    return f'id: {number}-0\nevent: status\ndata: {{"status": "{status}", "attempt": {number}}}\n\n'.encode()


def test_a_reader_goes_on_where_it_was_cut_off() -> None:
    answers = [
        streams(event(1), event(2), b"id: 3-0\nevent: sta"),
        problem(503, "Away"),
        streams(event(3)),
        says("", 204),
    ]
    told: list[str] = []
    with Scripted(answers) as server:
        connection = Connection(server.url, notify=told.append)
        found = [one.id for one in EventReader(connection, "/v1/events") if one]
        connection.close()
    assert found == ["1-0", "2-0", "3-0"]
    assert [request.headers.get("last-event-id") for request in server.seen] == [None, "2-0", "2-0", "3-0"]
    assert len(told) == 2
    assert told[1] == "connected again"


def test_a_reader_gives_up_when_the_service_stays_away() -> None:
    with Scripted([streams(event(1))]) as server:
        connection = Connection(server.url)
        reader = iter(EventReader(connection, "/v1/events", give_up_s=0.5))
        assert next(reader) == Event("status", {"status": "running", "attempt": 1})
    start = time.monotonic()
    with pytest.raises(Unreachable, match="lost the connection"):
        list(reader)
    connection.close()
    assert time.monotonic() - start < 3


def test_a_reader_that_is_refused_says_so() -> None:
    with Scripted([problem(404, "No such job")]) as server:
        connection = Connection(server.url)
        with pytest.raises(NotFound, match="No such job"):
            list(EventReader(connection, "/v1/events"))
        connection.close()


def test_a_busy_stream_does_not_outlast_the_time_given() -> None:
    def endless() -> bytes:
        return b"".join(event(number) for number in range(1000))

    with Scripted([streams(*[endless()] * 200)] * 50) as server:
        connection = Connection(server.url)
        start = time.monotonic()
        with pytest.raises(WaitTimeout):
            list(EventReader(connection, "/v1/events", timeout_s=0.3))
        assert time.monotonic() - start < 3
        connection.close()


def test_a_reader_names_the_same_jobs_each_time() -> None:
    with Scripted([streams(event(1)), says("", 204)]) as server:
        connection = Connection(server.url)
        list(EventReader(connection, "/v1/events", {"job": ["job-1", "job-2"], "none": None}))
        connection.close()
    assert [request.path for request in server.seen] == ["/v1/events?job=job-1&job=job-2"] * 2


def test_a_stream_whose_events_are_gone_ends_with_the_job() -> None:
    job = {"id": "job-1", "status": "succeeded", "attempt": 1, "result": {}}
    queued = {**job, "status": "queued"}
    answers = [says(queued), streams(b"retry: 2000\n\n"), says(queued), streams(b"retry: 2000\n\n"), says(job)]
    with Scripted(answers) as server, Client(server.url) as client:
        assert client.job("job-1").wait(20).status == "succeeded"
