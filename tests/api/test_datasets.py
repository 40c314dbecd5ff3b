"""Data sets over HTTP: raw bytes in, streamed, capped, and the same upload again is the same data set."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from api.app import create_app
from api.services import Services
from service.settings import Settings
from tests.api.asking import listening, pointers, problem, strict

CSV = b"x,y,label\n" + b"".join(b"%d,%d,%s\n" % (n, n * n, b"odd" if n % 2 else b"even") for n in range(30))


def upload(client: httpx.Client, content: Any = CSV, media_type: str = "text/csv", **params: str) -> httpx.Response:
    asked = {"name": "numbers", "target": "label", **params}
    return client.post("/v1/datasets", params=asked, content=content, headers={"Content-Type": media_type})


def test_an_upload_becomes_a_data_set(client: httpx.Client) -> None:
    answer = upload(client)
    assert answer.status_code == 201
    found = strict(answer.content)
    assert answer.headers["location"] == f"/v1/datasets/{found['id']}"
    assert (found["name"], found["rows"], found["target"], found["task"]) == ("numbers", 30, "label", "binary")
    assert found["classes"] == ["even", "odd"]
    assert [(column["name"], column["type"]) for column in found["columns"]] == [
        ("x", "numeric"),
        ("y", "numeric"),
        ("label", "categorical"),
    ]
    for path in (found["id"], "numbers"):
        assert client.get(f"/v1/datasets/{path}").json() == found
    assert client.get("/v1/datasets").json()["items"] == [found]


def test_the_same_again_is_the_same_and_anything_else_a_conflict(client: httpx.Client) -> None:
    first = upload(client)
    again = upload(client)
    assert (again.status_code, again.json()) == (200, first.json())
    body = problem(upload(client, CSV + b"30,900,even\n"), 409)
    assert pointers(body) == ["/name"]
    problem(upload(client, target="x"), 409)
    another = upload(client, name="others")
    assert another.status_code == 201
    assert another.json()["id"] != first.json()["id"]


def test_the_preview_shows_the_first_rows(client: httpx.Client) -> None:
    upload(client)
    body = strict(client.get("/v1/datasets/numbers/preview", params={"rows": 2}).content)
    assert body == {"columns": ["x", "y", "label"], "rows": [[0, 0, "even"], [1, 1, "odd"]]}
    assert len(client.get("/v1/datasets/numbers/preview").json()["rows"]) == 20
    for rows in ("0", "101", "x"):
        assert pointers(problem(client.get("/v1/datasets/numbers/preview", params={"rows": rows}), 422)) == ["/rows"]


def test_a_deleted_data_set_frees_its_name_and_its_files(client: httpx.Client, services: Services) -> None:
    first = upload(client).json()
    assert client.delete(f"/v1/datasets/{first['id']}").status_code == 204
    problem(client.delete(f"/v1/datasets/{first['id']}"), 404)
    problem(client.get("/v1/datasets/numbers"), 404)
    assert not list((services.settings.data_dir / "artifacts").glob(f"**/{first['id']}/*"))
    second = upload(client, CSV + b"30,900,even\n")
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


def test_a_data_set_in_use_stays(client: httpx.Client) -> None:
    upload(client)
    job = client.post("/v1/jobs", json={"dataset": "numbers", "epochs": 1}).json()
    assert job["id"] in problem(client.delete("/v1/datasets/numbers"), 409)["detail"]
    client.post(f"/v1/jobs/{job['id']}/cancel")
    assert client.delete("/v1/datasets/numbers").status_code == 204


def test_column_types_can_be_chosen(client: httpx.Client) -> None:
    found = upload(client, columns='{"x": "categorical", "y": "ignore"}').json()
    assert [column["type"] for column in found["columns"]] == ["categorical", "ignore", "categorical"]


@pytest.mark.parametrize(
    "columns",
    ["", "{", "[]", "null", '{"x": NaN}', '{"x": "date"}', '{"x": 1}', '{"x": ["numeric"]}', '{"no such": "numeric"}'],
)
def test_column_types_that_cannot_be_are_named(client: httpx.Client, columns: str) -> None:
    body = problem(upload(client, columns=columns), 422)
    assert body["errors"][0]["pointer"].startswith("/columns")


def test_parquet_and_npz_are_read_too(client: httpx.Client) -> None:
    file = io.BytesIO()
    np.savez(file, X=np.arange(20.0).reshape(10, 2), y=np.array([0, 1] * 5))
    found = upload(client, file.getvalue(), "application/x-npz", target="y").json()
    assert (found["rows"], found["classes"]) == (10, [0, 1])


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data", "", "csv"])
def test_another_content_type_is_refused(client: httpx.Client, media_type: str) -> None:
    assert "text/csv" in problem(upload(client, media_type=media_type), 415)["detail"]


def test_a_charset_is_no_part_of_the_content_type(client: httpx.Client) -> None:
    assert upload(client, media_type="Text/CSV; charset=utf-8").status_code == 201


@pytest.mark.parametrize("left_out", ["name", "target"])
def test_name_and_target_are_needed(client: httpx.Client, left_out: str) -> None:
    params = {"name": "n", "target": "label"}
    del params[left_out]
    answer = client.post("/v1/datasets", params=params, content=CSV, headers={"Content-Type": "text/csv"})
    assert pointers(problem(answer, 422)) == [f"/{left_out}"]


UNREADABLE = [
    *(("text/csv", content) for content in (b"", b"\x00", b"x,y\n", b"label\n", b"x,label\n1,a\n1\n")),
    *((media_type, b"\x89PNG") for media_type in ("application/vnd.apache.parquet", "application/x-npz")),
]


@pytest.mark.parametrize(("media_type", "content"), UNREADABLE)
def test_bytes_that_cannot_be_read_leave_nothing(
    client: httpx.Client, services: Services, media_type: str, content: bytes
) -> None:
    problem(upload(client, content, media_type), 422)
    assert client.get("/v1/datasets").json()["items"] == []
    assert list((services.settings.data_dir / "uploads").iterdir()) == []
    assert upload(client).status_code == 201  # the name is free


def test_an_upload_is_capped_by_what_it_says_and_by_what_it_sends(redis_url: str, tmp_path: Path) -> None:
    settings = Settings(redis_url=redis_url, data_dir=tmp_path / "data", max_upload_bytes=len(CSV) - 1)

    def in_pieces() -> Iterator[bytes]:
        yield CSV[:100]
        yield CSV[100:]

    with listening(create_app(settings)) as url, httpx.Client(base_url=url, timeout=30) as client:
        problem(upload(client), 413)
        problem(upload(client, in_pieces()), 413)
        assert upload(client, CSV.rpartition(b"29,")[0]).status_code == 201


@pytest.mark.parametrize("elsewhere", [False, True])
def test_near_a_full_disk_no_upload_is_read_and_others_are_served(
    redis_url: str, tmp_path: Path, elsewhere: bool
) -> None:
    settings = Settings(
        redis_url=redis_url,
        data_dir=tmp_path / "data",
        artifacts="memory://elsewhere" if elsewhere else None,
        min_free=1 << 50,
    )
    with listening(create_app(settings)) as url, httpx.Client(base_url=url, timeout=30) as client:
        refused = upload(client, b"x,label\n" + b"1,a\n" * (4 << 20))
        detail = problem(refused, 503)["detail"]
        assert re.search(r"the data directory has [\d.]+ [KMGT]iB free; needed are 1024 TiB", detail)
        assert {"retry-after", "connection"} <= set(refused.headers)
        assert not (tmp_path / "data").exists()
        assert client.get("/v1/datasets").status_code == 200


def test_a_client_that_breaks_off_leaves_nothing(client: httpx.Client, services: Services) -> None:
    def broken() -> Iterator[bytes]:
        yield CSV[:100]
        raise InterruptedError

    with pytest.raises(InterruptedError):
        upload(client, broken())
    assert client.get("/v1/datasets").json()["items"] == []
    assert list((services.settings.data_dir / "uploads").glob("*")) == []
    assert upload(client).status_code == 201
