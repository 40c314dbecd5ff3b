"""Bodies that are no JSON, or the wrong one: 400, 413, 415 or 422, and never an answer that cannot be read."""

from __future__ import annotations

import re

import httpx
import pytest

from api.requests import Route
from tests.api.asking import Submit, pointers, problem

HOSTILE = {
    "png": bytes([0x89, 0x50, 0x4E, 0x47]),
    "nan": b'{"dataset": "points", "epochs": NaN}',
    "infinity": b'{"dataset": "points", "epochs": Infinity}',
    "beyond a double": b'{"dataset": "points", "optimizer": {"learning_rate": 1e999}}',
    "surrogate in a name": b'{"dataset": "points", "name": "\\ud800"}',
    "surrogate in a tag": b'{"dataset": "points", "tags": {"\\udfff": "x"}}',
    "surrogate in a feature": b'{"dataset": "points", "data": {"features": ["\\ud800"]}}',
    "raw surrogate": b'{"dataset": "\xed\xa0\x80"}',
    "brackets": b"[" * 20_000,
    "braces": b'{"a":' * 20_000,
    "integer of 5,000 digits": b'{"dataset": "points", "seed": ' + b"7" * 5000 + b"}",
    "integer of 300 digits": b'{"dataset": "points", "seed": ' + b"7" * 300 + b"}",
    "null": b"null",
    "nothing": b"",
    "blank": b"  ",
    "list": b"[]",
    "text": b'"points"',
    "number": b"0",
    "a NUL": b"\x00",
    "UTF-16": "{}".encode("utf-16"),
    "byte-order mark": b"\xef\xbb\xbf{}",
    "two documents": b"{}{}",
    "a long name": b'{"dataset": "' + b"x" * 100_000 + b'"}',
    "100,000 unknown fields": b"{" + b",".join(b'"f%d":0' % number for number in range(100_000)) + b"}",
    "100,000 bad layers": b'{"dataset": "points", "network": {"hidden": [' + b"0," * 99_999 + b"0]}}",
    "emoji": '{"dataset": "points", "epochs": "\U0001f600"}'.encode(),
}
MALFORMED = {
    *("png", "nan", "infinity", "beyond a double", "surrogate in a name", "surrogate in a tag"),
    *("surrogate in a feature", "raw surrogate", "brackets", "braces", "integer of 5,000 digits", "nothing", "blank"),
    *("a NUL", "UTF-16", "byte-order mark", "two documents"),
}
TAKE_JSON = ["/v1/jobs", "/v1/models/model-aaaaaaaaaaaaaaaaaaaa/predict"]


@pytest.mark.parametrize("path", TAKE_JSON)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_answered_with_a_problem(client: httpx.Client, path: str, name: str) -> None:
    answer = client.post(path, content=HOSTILE[name], headers={"Content-Type": "application/json"})
    problem(answer, 400 if name in MALFORMED else 422)


def test_after_hostile_bodies_lists_and_streams_still_answer(client: httpx.Client, submit: Submit) -> None:
    for body in HOSTILE.values():
        client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    job = submit()
    assert client.get("/v1/jobs").json()["items"] == [job]
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
        assert stream.status_code == 200


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("path", TAKE_JSON)
def test_what_a_form_can_post_is_refused(client: httpx.Client, path: str, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    problem(client.post(path, content=b"{}", headers=headers), 415)


def test_a_charset_may_be_said(client: httpx.Client, submit: Submit) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.post("/v1/jobs", content=b'{"dataset": "points"}', headers=headers).status_code == 202


def test_a_body_larger_than_allowed_is_refused_before_it_is_read(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Route, "max_body_bytes", 100)
    headers = {"Content-Type": "application/json"}
    problem(client.post("/v1/jobs", content=b" " * 101, headers=headers), 413)
    problem(client.post("/v1/jobs", content=iter([b" " * 60] * 2), headers=headers), 413)  # its length undeclared
    problem(client.post("/v1/jobs", content=b"{}".ljust(100), headers=headers), 422)


def test_every_wrong_field_is_named_with_its_value(client: httpx.Client) -> None:
    spec = {"epochs": -1, "network": {"hidden": [0], "activation": "gelo"}, "lerning_rate": 1}
    body = problem(client.post("/v1/jobs", json=spec), 422)
    assert set(pointers(body)) == {"/dataset", "/epochs", "/network/hidden/0", "/network/activation", "/lerning_rate"}
    values = {error["pointer"]: error["value"] for error in body["errors"]}
    assert values["/epochs"] == -1
    assert values["/network/activation"] == "gelo"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            b'{"dataset": "points", "network": {"hidden": [0]}}',
            "network.hidden.0: should be an integer from 1 to 65536",
        ),
        (
            b'{"dataset": "points", "seed": 18446744073709551616}',
            "seed: should be an integer from 0 to 922337203685477",
        ),
        (b'{"dataset": "points", "data": {"target": "z"}}', "data.target: data set 'points' has no column 'z'"),
        (b"[]", "the body: should be an object"),
    ],
)
def test_a_sentence_names_fields_with_dots(client: httpx.Client, submit: Submit, body: bytes, detail: str) -> None:
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer, 422)["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("query", "name", "allowed"),
    [
        ("limit=x", "limit", "an integer from 1 to 500"),
        ("limit=0", "limit", "an integer from 1 to 500"),
        ("status=x", "status", ["queued", "running", "paused", "succeeded", "failed", "cancelled"]),
        (f"cursor={'x' * 201}", "cursor", "text of at most 200 characters"),
    ],
)
def test_a_wrong_query_parameter_is_named_alike(client: httpx.Client, query: str, name: str, allowed: object) -> None:
    body = problem(client.get(f"/v1/jobs?{query}"), 422)
    assert body["detail"].startswith(f"{name}: should be ")
    assert [(error["pointer"], error["allowed"]) for error in body["errors"]] == [(f"/{name}", allowed)]


def test_a_wrong_header_is_named_alike(client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", json={"dataset": "points"}, headers={"Idempotency-Key": "k" * 256})
    (error,) = problem(answer, 422)["errors"]
    assert (error["pointer"], error["allowed"]) == ("/Idempotency-Key", "1 to 255 printable ASCII characters")


def test_a_bug_says_nothing_of_the_inside(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, submit: Submit
) -> None:
    job = submit()

    def break_down(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the password is hunter2")

    monkeypatch.setattr("api.routes.jobs.job_json", break_down)
    answer = client.get(f"/v1/jobs/{job['id']}")
    body = problem(answer, 500)
    assert "hunter2" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert re.fullmatch(r"[0-9a-f]{16}", body["request_id"])
    assert body["request_id"] == answer.headers["x-request-id"]
