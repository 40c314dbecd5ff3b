"""The process itself: `python -m api` starts, refuses to start, stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.services import Services
from tests.api.asking import SPEC, record, two_classes, wait_until


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def process(**environment: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "api"], env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )
    with started:
        yield started
        started.kill()


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DELTAQ_REDIS_URL": redis_url,
        "DELTAQ_DATA_DIR": str(tmp_path),
        "DELTAQ_PORT": str(free_port()),
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_stops_within_two_seconds_with_a_stream_open(
    environment: dict[str, str], services: Services, number: signal.Signals
) -> None:
    record(services, two_classes(tenant=None))
    url = f"http://127.0.0.1:{environment['DELTAQ_PORT']}"
    with process(**environment) as api, httpx.Client(base_url=url, timeout=30) as client:
        wait_until(lambda: answers(client), 30)
        job = client.post("/v1/jobs", json=SPEC).json()["id"]
        with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
            chunks = stream.iter_bytes()
            assert b"retry" in next(chunks)
            began = time.monotonic()
            api.send_signal(number)
            assert b"queued" in b"".join(chunks)  # the stream ends as streams should, not by a reset
        assert api.wait(10) == 0
        assert time.monotonic() - began < 2
        assert api.stderr is not None
        assert api.stderr.read() == ""


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_one_that_is_killed_in_an_upload_leaves_nothing_of_it(environment: dict[str, str], tmp_path: Path) -> None:
    address = ("127.0.0.1", int(environment["DELTAQ_PORT"]))
    head = "POST /v1/datasets?name=n&target=y HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
    with process(**environment) as api, httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client:
        wait_until(lambda: answers(client), 30)
        with socket.create_connection(address) as uploading:
            uploading.sendall(f"{head}Content-Length: {8 << 20}\r\n\r\n".encode() + b"1,0\n" * (1 << 20))
            wait_until(lambda: spooled_bytes(api.pid, tmp_path / "uploads") >= 2 << 20)
            assert list((tmp_path / "uploads").iterdir()) == []
            api.kill()
            api.wait(10)
    assert list((tmp_path / "uploads").iterdir()) == []


def spooled_bytes(pid: int, folder: Path) -> int:
    """How much of uploads the process holds in files of the folder that have no name."""
    held = [found for found in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(found).startswith(f"{folder}/")]
    return sum(found.stat().st_size for found in held if os.readlink(found).endswith(" (deleted)"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"DELTAQ_HOST": "0.0.0.0"}, "DELTAQ_API_KEYS_FILE"),
        ({"DELTAQ_REDIS_URL": ""}, "DELTAQ_REDIS_URL"),
        ({"DELTAQ_REDIS_URL": "somewhere"}, "DELTAQ_REDIS_URL"),
        ({"DELTAQ_PORT": "70000"}, "DELTAQ_PORT"),
        ({"DELTAQ_API_KEYS_FILE": "/nonexistent/keys.json"}, "/nonexistent/keys.json"),
        ({"DELTAQ_KERNELS": "fast"}, "DELTAQ_KERNELS"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_one_line(
    environment: dict[str, str], changed: dict[str, str], said: str
) -> None:
    with process(**{**environment, **changed}) as api:
        assert api.wait(30) == os.EX_CONFIG
        assert api.stderr is not None
        (line,) = api.stderr.read().splitlines()
    assert line.startswith("deltaq api: ")
    assert said in line


def test_a_taken_port_is_said(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with process(**{**environment, "DELTAQ_PORT": port}) as api:
            assert api.wait(30) != 0
            assert api.stderr is not None
            assert port in api.stderr.read()


def test_while_it_waits_for_redis_it_can_be_stopped(environment: dict[str, str], tmp_path: Path) -> None:
    with process(**{**environment, "DELTAQ_REDIS_URL": f"unix://{tmp_path}/nothing.sock"}) as api:
        wait_until(lambda: "nothing.sock" in Path(f"/proc/{api.pid}/environ").read_text() and caught(api.pid), 30)
        api.send_signal(signal.SIGTERM)
        assert api.wait(5) == 0


def caught(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM by now."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), 16)
    return bool(mask >> (signal.SIGTERM - 1) & 1)
