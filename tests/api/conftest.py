"""One real server for all tests of the front door, one more with API keys; each test finds an empty Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.services import Services
from service.datasets import Dataset
from service.ids import new_id
from service.queue import ClaimedJob
from service.redis_server import RedisServer
from service.settings import Settings
from tests.api.asking import SPEC, Claim, Submit, listening, record, two_classes, write_keys
from tests.api.trained import Trained, make_trained
from workers import logs

KEYS = {
    "owner": ("default", ["read", "write"]),
    "reader": ("default", ["read"]),
    "stranger": ("other", ["read", "write"]),
}


@pytest.fixture(scope="session")
def shared_settings(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(redis_url=redis_server.url, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def shared_app(shared_settings: Settings) -> FastAPI:
    return create_app(shared_settings)


@pytest.fixture(scope="session")
def shared_server(shared_app: FastAPI) -> Iterator[str]:
    with listening(shared_app) as url:
        yield url


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    write_keys(path, KEYS)
    return path


@pytest.fixture(scope="session")
def guarded_server(shared_settings: Settings, keys_file: Path) -> Iterator[str]:
    with listening(create_app(shared_settings.model_copy(update={"api_keys_file": keys_file}))) as url:
        yield url


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    """Settings for an application of the test's own."""
    return Settings(redis_url=redis_url, data_dir=tmp_path / "data")


@pytest.fixture
def services(redis_url: str, shared_app: FastAPI) -> Services:
    """The parts behind the server, on an empty Redis."""
    found: Services = shared_app.state.services
    return found


@pytest.fixture
def client(redis_url: str, shared_server: str) -> Iterator[httpx.Client]:
    """A client of the server without keys, on an empty Redis."""
    with httpx.Client(base_url=shared_server, timeout=30) as client:
        yield client


@pytest.fixture
def guarded(redis_url: str, guarded_server: str) -> Iterator[httpx.Client]:
    """A client, without a key, of the server with keys, on an empty Redis."""
    with httpx.Client(base_url=guarded_server, timeout=30) as client:
        yield client


@pytest.fixture
def points(services: Services) -> Dataset:
    """A data set that everybody has."""
    return record(services, two_classes(tenant=None))


@pytest.fixture
def submit(client: httpx.Client, points: Dataset) -> Submit:
    """Submit a small job, changed as asked."""

    def send(**changes: Any) -> dict[str, Any]:
        answer = client.post("/v1/jobs", json={**SPEC, **changes})
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    return send


@pytest.fixture
def claim(services: Services) -> Claim:
    """Take the next job off the queue as a scheduler does."""

    def take() -> ClaimedJob:
        epoch = services.queue.lead("test", 3.0)
        assert epoch is not None
        claimed = services.queue.claim(epoch, 4, new_id("job"))
        assert claimed is not None
        return claimed

    return take


@pytest.fixture
def trained(client: httpx.Client, services: Services, claim: Claim) -> Trained:
    """A model, and the data set `colours`."""
    return make_trained(client, services, claim)


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """Log as the processes do; the pretty tracebacks that are the default take seconds."""
    logs.configure("info")
