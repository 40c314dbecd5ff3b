"""Calls whose connection is lost, refused, delayed or answered by a stranger."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deltaq.addresses import is_loopback, normal_url
from deltaq.client import Client
from deltaq.connection import Connection
from deltaq.errors import (
    DataWarning,
    FieldProblem,
    InvalidInput,
    InvalidRequest,
    NotAllowed,
    QueueFull,
    ServiceError,
    UnexpectedAnswer,
    Unreachable,
)
from tests.deltaq.scripted import Scripted, hangs_up, problem, says, streams

JOB = {"id": "job-1", "status": "queued"}


def test_a_creation_that_was_lost_is_made_again_under_one_key() -> None:
    told: list[str] = []
    with Scripted([says({"queue_depth": 0}), hangs_up, problem(503, "Unavailable"), says(JOB, 202)]) as server:
        client = Client(server.url, notify=told.append)
        client.cluster()
        assert client.submit({"dataset": "iris"}).id == "job-1"
        client.close()
    keys = {request.headers["idempotency-key"] for request in server.seen[1:]}
    assert len(server.seen) == 4
    assert len(keys) == 1
    assert {request.body for request in server.seen[1:]} == {b'{"dataset":"iris"}'}
    assert len(told) == 1


def test_what_is_allowed_is_told_as_json_writes_it() -> None:
    told = {"pointer": "/data/stratify", "value": True, "detail": "no", "allowed": [False, None, "auto"]}
    with (
        Scripted([says({"title": "Invalid", "errors": [told]}, 422, "application/problem+json")]) as server,
        Client(server.url) as client,
        pytest.raises(InvalidRequest, match=r"/data/stratify: no \(given: true; allowed: false, null, auto\)"),
    ):
        client.submit({})


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (FieldProblem("/a", "should be an integer", "1e2", "an integer"), '/a: should be an integer (given: "1e2")'),
        (FieldProblem("/a", 'should be "x" or "y"', 3, ["x", "y"]), '/a: should be "x" or "y" (given: 3)'),
        (FieldProblem("/a", "there is no such field", None, ["a"]), "/a: there is no such field (allowed: a)"),
        (FieldProblem("/a", "this is required", None, None), "/a: this is required"),
        (FieldProblem("/a", "no", "é\x9b", None), '/a: no (given: "\\u00e9\\u009b")'),
        (FieldProblem("/a", "no", "ü" * 100, None), f'/a: no (given: "{"ü" * 58}…)'),
    ],
)
def test_a_refused_value_is_shown_and_the_rule_once(problem: FieldProblem, text: str) -> None:
    assert str(problem) == text


def test_a_first_call_that_is_cut_off_is_made_again() -> None:
    with Scripted([hangs_up, says({"queue_depth": 0})]) as server, Client(server.url) as client:
        assert client.cluster() == {"queue_depth": 0}


def test_each_creation_has_a_key_of_its_own() -> None:
    with Scripted([says(JOB, 202), says(JOB, 202)]) as server, Client(server.url) as client:
        client.submit({})
        client.submit({})
    assert len({request.headers["idempotency-key"] for request in server.seen}) == 2


def test_what_a_job_is_warned_of_is_a_warning_at_the_line_that_submits() -> None:
    said = ["data.stratify has no effect: no row validates"]
    with (
        Scripted([says({**JOB, "warnings": said}, 202)]) as server,
        Client(server.url) as client,
        pytest.warns(DataWarning, match="no row validates") as warned,
    ):
        job = client.submit({})
    assert job.warnings == tuple(said)
    assert [one.filename for one in warned] == [__file__]


def test_the_service_says_how_long_to_wait() -> None:
    with Scripted([problem(503, "Unavailable", Retry_After="1"), says({})]) as server, Client(server.url) as client:
        start = time.monotonic()
        client.cluster()
        assert time.monotonic() - start >= 1


def test_who_asks_to_wait_beyond_the_deadline_is_not_waited_for() -> None:
    with (
        Scripted([problem(503, "Unavailable", Retry_After="60")]) as server,
        Client(server.url, retry_for_s=2) as client,
        pytest.raises(ServiceError) as refused,
    ):
        client.cluster()
    assert refused.value.retry_after_s == 60
    assert refused.value.title == "Unavailable"


def test_a_service_that_was_there_is_waited_for_until_the_deadline() -> None:
    with Scripted([says({})]) as server, Client(server.url, retry_for_s=0.5) as client:
        client.cluster()
        server.__exit__()
        start = time.monotonic()
        with pytest.raises(Unreachable, match="lost the connection"):
            client.cluster()
        assert 0.2 < time.monotonic() - start < 2


def test_a_service_that_never_was_there_is_waited_for_for_a_moment() -> None:
    told: list[str] = []
    start = time.monotonic()
    with Client("http://127.0.0.1:9", notify=told.append) as client, pytest.raises(Unreachable, match="refused"):
        client.cluster()
    assert 2.9 < time.monotonic() - start < 6
    assert told == ["connection refused: trying again for 3 s"]
    start = time.monotonic()
    with Client("http://127.0.0.1:9", retry_for_s=0) as client, pytest.raises(Unreachable, match="refused"):
        client.cluster()
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("read", [Client.cluster, lambda client: next(client.watch(["job-1"]))])
def test_a_service_that_is_being_started_answers_a_first_call(read: Callable[[Client], Any]) -> None:
    first = b'event: status\ndata: {"job": "job-1", "data": {}}\n\n'
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Scripted([says({}) if read is Client.cluster else streams(first)], port)
    starting = threading.Timer(0.5, server.__enter__)
    starting.start()
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            read(client)
    finally:
        starting.join()
        server.__exit__()
    assert len(server.seen) == 1


def test_the_address_that_the_service_of_this_data_directory_left_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def advice(url: str) -> str:
        with Client(url, first_for_s=0) as client, pytest.raises(Unreachable) as refused:
            client.cluster()
        return str(refused.value)

    monkeypatch.setenv("DELTAQ_DATA_DIR", str(tmp_path))
    (tmp_path / "service.json").write_text('{"url": "http://127.0.0.1:8123"}')
    assert "DELTAQ_URL=http://127.0.0.1:8123" in advice("http://127.0.0.1:9")
    for content in ('{"url": "http://127.0.0.1:9"}', "{", "[]", "{}"):
        (tmp_path / "service.json").write_text(content)
        assert "Start it with `deltaq up`" in advice("http://127.0.0.1:9")
    monkeypatch.delenv("DELTAQ_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".deltaq").mkdir()
    (tmp_path / ".deltaq" / "service.json").write_text('{"url": "http://127.0.0.1:8124"}')
    assert "DELTAQ_URL=http://127.0.0.1:8124" in advice("http://127.0.0.1:9")


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_waits_for_the_service_is_waited_for(status: int) -> None:
    answers = [says("<html>", status, "text/html"), says({"queue_depth": 0})]
    with Scripted(answers) as server, Client(server.url) as client:
        assert client.cluster() == {"queue_depth": 0}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (403, NotAllowed), (401, NotAllowed), (429, QueueFull), (500, ServiceError)],
)
def test_a_refusal_is_not_repeated(status: int, kind: type[Exception]) -> None:
    with (
        Scripted([problem(status, "No")]) as server,
        Client(server.url) as client,
        pytest.raises(kind, match="No: why"),
    ):
        client.cluster()
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_stranger_at_the_address_is_recognised(status: int) -> None:
    with (
        Scripted([says("<html>hello</html>", status, "text/html")]) as server,
        Client(server.url) as client,
        pytest.raises(UnexpectedAnswer, match=r"text/html.*is this a deltaq service"),
    ):
        client.cluster()


def test_proxies_are_never_asked_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Scripted([says({"queue_depth": 0})]) as server, Client(server.url) as client:
        assert client.cluster() == {"queue_depth": 0}
        monkeypatch.setenv("NO_PROXY", "::1localhost")  # as a list with a comma too few has it
        Client(server.url).close()
        monkeypatch.delenv("NO_PROXY")
    with Client("http://192.0.2.1:8000", first_for_s=0) as client, pytest.raises(Unreachable, match="refused"):
        client.cluster()  # what is not loopback does go through the proxy, where nobody listens


def test_the_key_is_sent_as_bearer() -> None:
    with Scripted([says({})]) as server, Client(server.url, "dq_secret\n") as client:
        client.cluster()
    assert server.seen[0].headers["authorization"] == "Bearer dq_secret"
    for key in ("schlüssel", "two\nlines"):
        with pytest.raises(InvalidInput, match="API key") as refused:
            Client("http://127.0.0.1:9", key)
        assert key not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://gpu.example/deltaq/", "https://gpu.example/deltaq"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("https://gpu.example/deltaq/v1/", "https://gpu.example/deltaq"),
        ("https://gpu.example/kv1", "https://gpu.example/kv1"),
        (" http://[::1]:8000 ", "http://[::1]:8000"),
    ],
)
def test_addresses_are_taken_as_people_write_them(given: str, taken: str) -> None:
    assert normal_url(given) == taken


@pytest.mark.parametrize(
    "given", ["", "ftp://host", "http://", "unix:///tmp/socket", "http://host:port", "http://[::1"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="address of a service"):
        Connection(given)


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.2", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)]
)
def test_loopback_is_told_from_others(host: str, own: bool) -> None:
    assert is_loopback(host) is own
