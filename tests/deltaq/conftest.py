"""What the client's tests share: a real API process on a real Redis, and a hand that runs jobs as a scheduler does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from deltaq.client import Client
from service.errors import DeltaqError
from service.ids import new_id
from service.jobs import Lease
from service.queue import Queue
from service.store import Store

T = TypeVar("T")

POINTS = "x,y,label\n" + "".join(f"{i % 7},{i % 5},{'yes' if i % 2 else 'no'}\n" for i in range(40))
SPEC: dict[str, Any] = {"dataset": "points", "network": {"hidden": [4]}, "epochs": 3}


def until(ask: Callable[[], T | None], timeout_s: float = 20.0, what: str = "what was waited for") -> T:
    """Ask until the answer is true."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not come within {timeout_s:g} s"
        time.sleep(0.02)
    return answer


class ApiProcess:
    """`python -m api` on one port, through deaths and restarts."""

    def __init__(self, redis_url: str, data_dir: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data_dir / "api.log"
        settings = {"REDIS_URL": redis_url, "DATA_DIR": str(data_dir), "PORT": str(self.port)}
        self._environment = {**os.environ, **{f"DELTAQ_{name}": value for name, value in settings.items()}}
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", "api"], env=self._environment, stdout=log, stderr=log)
        until(lambda: self._alive(process), what="the API")
        return process

    def _alive(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL it, and see it gone."""
        self.process.kill()
        self.process.wait(10)

    def restart(self) -> None:
        """Start it again on the same port, where it has ended."""
        if self.process.poll() is not None:
            self.process = self._start()

    def stop(self) -> None:
        """End it in good order."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


@pytest.fixture(scope="package")
def api_process(redis_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    process = ApiProcess(redis_server.url, tmp_path_factory.mktemp("api"))
    yield process
    process.stop()


@pytest.fixture
def api(redis_url: str, api_process: ApiProcess) -> ApiProcess:
    """The API on an empty Redis, alive whatever the test before did to it."""
    api_process.restart()
    return api_process


@pytest.fixture
def client(api: ApiProcess) -> Iterator[Client]:
    with Client(api.url, retry_for_s=10) as client:
        yield client


@pytest.fixture
def points(client: Client, tmp_path: Path) -> str:
    """A data set with two features and two classes."""
    path = tmp_path / "points.csv"
    path.write_text(POINTS)
    return client.datasets.add(path, "points", "label").name


class Hand:
    """Runs jobs as the scheduler and a runner do, one step at a time."""

    def __init__(self, redis_url: str) -> None:
        self.store = Store(redis_url)
        self.queue = Queue(self.store)

    def claim(self) -> Lease:
        """Take the next job, as soon as there is one."""
        epoch = self.queue.lead("hand", 60.0)
        assert epoch is not None
        return until(lambda: self.queue.claim(epoch, 4, new_id("job")), what="a job to claim").lease

    def epoch(self, lease: Lease, number: int, epochs: int = 3, **measures: Any) -> None:
        """Record one epoch's row, and the progress."""
        row = {"epoch": number, "train_loss": 1.0 / number, "samples_per_s": 100.0, **measures}
        self.queue.record_epoch(lease, row)
        self.queue.beat(
            lease, {"epoch": number, "epochs": epochs, "step": number, "steps": epochs, "fraction": number / epochs}
        )

    def succeed(self, lease: Lease, weights: str = "0" * 64, **result: Any) -> None:
        """End the job well; its model's file is nowhere."""
        model = {"id": new_id("model"), "job_id": lease.job_id, "path": "none", "sha256": "", "spec": {}, "metrics": {}}
        result = {"model_id": model["id"], "weights_sha256": weights, "fingerprint": {"numpy": "2"}, **result}
        self.queue.succeed(lease, result, model)

    def fail(self, lease: Lease, error: DeltaqError) -> None:
        """End the job badly."""
        self.queue.fail(lease, error)


@pytest.fixture
def hand(redis_url: str) -> Hand:
    return Hand(redis_url)


class Command:
    """The `deltaq` command as a process of its own."""

    def __init__(self, url: str | None) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DELTAQ_")}
        self._environment = {**kept, **({"DELTAQ_URL": url} if url else {})}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start it, with pipes for all it reads and writes."""
        pipe = subprocess.PIPE
        line = [sys.executable, "-m", "deltaq", *arguments]
        process = subprocess.Popen(
            line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**self._environment, **environment}
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, output, errors; a traceback is always a fault."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(stdin, timeout=60)
        assert "Traceback" not in err, err
        return process.returncode, out, err

    def end(self) -> None:
        """Leave no process behind."""
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def command(api: ApiProcess) -> Iterator[Command]:
    command = Command(api.url)
    yield command
    command.end()
