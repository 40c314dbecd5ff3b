"""How the tests of the front door ask, and what they hold every answer against."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from api.server import Server
from api.services import Services
from service.datasets import Column, Dataset
from service.ids import new_id
from service.queue import ClaimedJob

SPEC: dict[str, Any] = {"dataset": "points", "network": {"hidden": [4]}, "epochs": 3}

Submit = Callable[..., dict[str, Any]]
Claim = Callable[[], ClaimedJob]


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The application behind a real server in a thread, on a free port; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1)
    server = Server(config, app.state.services)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def wait_until(condition: Callable[[], Any], deadline_s: float = 10.0) -> None:
    """Ask until it is so. Raises: AssertionError at the deadline."""
    give_up = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < give_up, "the deadline has passed"
        time.sleep(0.01)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Hold an answer against what every problem is, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) <= 16 * 1024
    body: dict[str, Any] = strict(answer.content)
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert all(set(error) == {"pointer", "value", "detail", "allowed"} for error in body["errors"])
    return body


def pointers(body: dict[str, Any]) -> list[str]:
    """Where the problem says that something is wrong."""
    return [error["pointer"] for error in body["errors"]]


def strict(content: bytes) -> Any:
    """Read strict JSON in UTF-8."""

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(content.decode("utf-8"), parse_constant=refuse)


def write_keys(path: Path, keys: dict[str, tuple[str, list[str]]]) -> None:
    """Write a key file in which each key is its own name."""
    entries = [
        {"name": name, "tenant": tenant, "scopes": scopes, "sha256": hashlib.sha256(name.encode()).hexdigest()}
        for name, (tenant, scopes) in keys.items()
    ]
    path.touch(0o600)
    path.write_text(json.dumps(entries))


def bearer(key: str) -> dict[str, str]:
    """The header that shows a key."""
    return {"Authorization": f"Bearer {key}"}


def two_classes(tenant: str | None = "default", name: str = "points") -> Dataset:
    """The record of a data set with two features and two classes; its bytes are nowhere and not needed."""
    numbers = Column("x", "numeric", "float", distinct=40, minimum=0.0, maximum=1.0)
    label = Column("label", "categorical", "text", distinct=2, levels=("no", "yes"))
    return Dataset(
        id=new_id("ds"),
        tenant=tenant,
        name=name,
        rows=100,
        columns=(numbers, replace(numbers, name="y"), label),
        target="label",
        task="binary",
        classes=("no", "yes"),
        warnings=(),
        sha256="0" * 64,
        created_at="2026-01-01T00:00:00.000Z",
        path="datasets/none/columns.parquet",
        overrides={},
    )


def record(services: Services, dataset: Dataset) -> Dataset:
    """Make the data set exist."""
    services.datasets.create(dataset.to_document(), dataset.identity)
    return dataset


def succeed(services: Services, claimed: ClaimedJob, **result: Any) -> str:
    """End a running job well; returns the id of its model, whose file is nowhere."""
    model_id = new_id("model")
    model = {"id": model_id, "job_id": claimed.job.id, "path": "models/none", "sha256": "", "spec": {}, "metrics": {}}
    services.queue.succeed(claimed.lease, {"model_id": model_id, **result}, model)
    return model_id
