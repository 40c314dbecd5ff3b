"""`python -m service up` as users run it: real Redis, Ray, scheduler and API, killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.embedded.readiness import is_ready
from tests.service.families import Family, until

READY_S = 90.0  # five seconds alone on the machine
AGAIN_S = 60.0
pytestmark = pytest.mark.timeout(240)


class Up:
    """A service on one data directory, started as often as tests end it, and what its file says of it."""

    family: Family

    def __init__(self, folder: Path, families: ExitStack) -> None:
        self._folder, self._families = folder, families
        self.data_dir = folder / "data"
        self.file = self.data_dir / "service.json"

    def start(self) -> None:
        arguments = ("-m", "service", "up", "--port=0", f"--data-dir={self.data_dir}", "--workers=1")
        self.family = self._families.enter_context(Family(*arguments, folder=self._folder))
        until(lambda: self.file.exists() or self.family.process.poll() is not None, "ready", READY_S)
        assert self.file.exists(), self.family.said()
        self.where: dict[str, Any] = json.loads(self.file.read_text())
        self.runtime_dir = Path(self.where["ray_token_path"]).parent

    def assert_nothing_left(self, shared_memory: set[str]) -> None:
        until(lambda: not self.family.members(), "every process is gone", 5.0)
        assert not self.runtime_dir.exists()
        assert not self.file.exists()
        assert set(os.listdir("/dev/shm")) <= shared_memory


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with ExitStack() as families:
        yield Up(tmp_path_factory.mktemp("up"), families)


@pytest.fixture
def up(service: Up) -> Up:
    """The service, running: started, or started again on the same data where a test has ended it."""
    if not service.file.exists():
        service.start()
    return service


def test_it_says_where_it_is_to_this_user_alone(up: Up) -> None:
    assert list(up.where) == ["url", "pid", "redis_url", "ray_address", "ray_token_path"]
    assert up.where["pid"] == up.family.process.pid
    until(lambda: f"deltaq is ready at {up.where['url']}" in up.family.said(), "it is said")
    assert up.data_dir.stat().st_mode & 0o777 == up.runtime_dir.stat().st_mode & 0o777 == 0o700
    for path in (
        up.file,
        Path(up.where["ray_token_path"]),
        up.runtime_dir / "redis.conf",
        up.runtime_dir / "plan.json",
    ):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_nothing_listens_but_on_loopback(up: Up) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in up.family.members()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert int(up.where["ray_address"].rpartition(":")[2]) in {port for _, port in listening}
    assert {address for address, _ in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_second_one_on_the_same_data_is_refused_by_the_first_ones_number(up: Up) -> None:
    command = [sys.executable, "-m", "service", "up", "--port=0", f"--data-dir={up.data_dir}"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == os.EX_CONFIG
    assert f"is in use by process {up.where['pid']}" in second.stderr
    assert up.file.exists()


@pytest.mark.parametrize("part", ["valkey-server", "service scheduler", "service sweeper", "-m api"])
def test_a_part_that_is_killed_comes_back_by_itself(up: Up, part: str) -> None:
    killed = up.family.pid_of(part)
    os.kill(killed, signal.SIGKILL)
    until(lambda: (found := up.family.find(part)) and found.pid != killed, f"{part} runs again", AGAIN_S)
    until(lambda: is_ready(up.where["url"]), "everything is ready again", AGAIN_S)


@pytest.mark.parametrize("part", ["ray.scripts.scripts start", "gcs_server --", "raylet/raylet"])
def test_ray_comes_back_at_its_address_whichever_of_it_is_killed(up: Up, part: str) -> None:
    killed = up.family.pid_of(part)
    os.kill(killed, signal.SIGKILL)
    until(lambda: not is_ready(up.where["url"]), "the loss is noticed", AGAIN_S)
    until(lambda: is_ready(up.where["url"]), "everything is ready again", AGAIN_S)
    assert up.family.pid_of(part) != killed
    assert not psutil.pid_exists(killed)


def test_sigterm_ends_it_within_two_seconds_and_leaves_nothing(up: Up) -> None:
    shared_memory = set(os.listdir("/dev/shm"))
    up.family.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert up.family.process.wait(timeout=20) == 0
    assert time.monotonic() - started < 3.0  # two, and one for a machine that does other things too
    up.assert_nothing_left(shared_memory)


def test_killed_it_leaves_no_process_and_starts_again(up: Up) -> None:
    shared_memory = set(os.listdir("/dev/shm"))
    up.family.process.kill()
    up.family.process.wait()
    up.assert_nothing_left(shared_memory)
    up.start()


def test_its_keeper_killed_it_leaves_no_process(up: Up) -> None:
    shared_memory = set(os.listdir("/dev/shm"))
    os.kill(up.family.pid_of("service keeper"), signal.SIGKILL)
    assert up.family.process.wait(timeout=20) == 1
    up.assert_nothing_left(shared_memory)
