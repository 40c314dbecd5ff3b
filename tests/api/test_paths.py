"""Ids and names from outside reach nothing but what they name: no file, no other key."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import redis

from api.services import Services
from tests.api.asking import Submit, problem

WICKED = [
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252fetc",
    "*",
    "a:b",
    "%00",
    "job-aaaaaaaaaaaaaaaaaaaa%00",
    "job-aaaaaaaaaaaaaaaaaaaa%0A",
    "deltaq%3Ajobs%3Adefault",
    "job-%2a",
    "%ff%fe",
    "%F0%9F%98%80",
    "%ED%A0%80",
    "x" * 4000,
    "job-AAAAAAAAAAAAAAAAAAAA",
    "..",
    "~",
    "%20",
]
PATHS = [
    ("GET", "/v1/jobs/{}"),
    ("POST", "/v1/jobs/{}/cancel"),
    ("POST", "/v1/jobs/{}/retry"),
    ("GET", "/v1/jobs/{}/metrics"),
    ("GET", "/v1/jobs/{}/logs"),
    ("GET", "/v1/jobs/{}/events"),
    ("GET", "/v1/datasets/{}"),
    ("GET", "/v1/datasets/{}/preview"),
    ("DELETE", "/v1/datasets/{}"),
    ("GET", "/v1/models/{}"),
    ("GET", "/v1/models/{}/download"),
    ("POST", "/v1/models/{}/predict"),
    ("DELETE", "/v1/models/{}"),
]
NAMES = [
    "../../x",
    "..",
    "C:\\x",
    "/etc/passwd",
    "a/b",
    "x" * 4000,
    "",
    " ",
    "\x00",
    "a\nb",
    ".hidden",
    "\x7f",
    "\u202e",
]


def everything(redis_url: str) -> dict[bytes, bytes | None]:
    """All of Redis, key by key."""
    with redis.Redis.from_url(redis_url) as client:
        return {name: client.dump(name) for name in client.scan_iter()}


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_wicked_ids_are_not_found_and_touch_nothing(
    client: httpx.Client, redis_url: str, submit: Submit, method: str, path: str
) -> None:
    submit()
    before = everything(redis_url)
    body = {"rows": [[1, 2]]} if path.endswith("predict") else None
    for wicked in WICKED:
        where = path.format(wicked)
        if where == "/v1/jobs/../events":  # /v1/events, the stream of all jobs, which has no end
            continue
        answer = client.request(method, where, json=body)
        assert answer.status_code in (404, 405), (wicked, answer.text)  # 405: the path became another one's
        problem(answer, answer.status_code)
    assert everything(redis_url) == before


@pytest.mark.parametrize("format_", ["../x", "pickle", "", "npz\x00", "NPZ", "npz/../../x"])
def test_a_wicked_format_is_named(client: httpx.Client, format_: str) -> None:
    body = problem(client.get("/v1/models/model-aaaaaaaaaaaaaaaaaaaa/download", params={"format": format_}), 422)
    assert body["errors"][0]["pointer"] == "/format"
    assert body["errors"][0]["allowed"] == ["npz", "safetensors", "onnx"]


@pytest.mark.parametrize("name", NAMES)
def test_a_wicked_name_makes_no_data_set_and_no_file(client: httpx.Client, services: Services, name: str) -> None:
    before = files(services.settings.data_dir.parent)
    params, headers = {"name": name, "target": "y"}, {"Content-Type": "text/csv"}
    answer = client.post("/v1/datasets", params=params, content=b"x,y\n1,a\n2,b\n", headers=headers)
    assert problem(answer, 422)["errors"][0]["pointer"] == "/name"
    assert client.get("/v1/datasets").json()["items"] == []
    problem(client.get(f"/v1/datasets/{quote(name, safe='')}x"), 404)
    assert files(services.settings.data_dir.parent) == before


def files(folder: Path) -> set[str]:
    return {os.path.join(place, name) for place, _, names in os.walk(folder) for name in names}
