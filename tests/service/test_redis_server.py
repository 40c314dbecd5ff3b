"""The Redis that deltaq brings along: real servers, killed for real, and the check of a foreign one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from service.errors import Misconfigured
from service.redis_server import RedisServer, check_server, server_binary


def until(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


@contextmanager
def client_of(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        yield client


def test_its_settings_lose_nothing_that_was_answered(redis_url: str) -> None:
    with client_of(redis_url) as client:
        found = client.config_get("*")
    expected = {"port": "0", "appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}
    assert {name: found[name] for name in expected} == expected


def test_the_fixture_gives_an_empty_redis_each_time(redis_url: str) -> None:
    with client_of(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_the_fixture_gives_an_empty_redis_again(redis_url: str) -> None:
    with client_of(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_only_who_has_the_password_gets_in(redis_url: str, redis_server: RedisServer) -> None:
    with pytest.raises(redis.AuthenticationError), client_of(f"unix://{redis_server.socket}") as client:
        client.ping()


def test_data_and_configuration_are_for_this_user_alone(redis_url: str, redis_server: RedisServer) -> None:
    assert redis_server.data_dir.stat().st_mode & 0o777 == 0o700
    assert redis_server.configuration.stat().st_mode & 0o777 == 0o600


def test_what_was_answered_survives_sigkill(tmp_path: Path, runtime_dir: Path) -> None:
    folder = runtime_dir / "survives"
    folder.mkdir()
    server = RedisServer(tmp_path / "redis", folder)
    server.start()
    with client_of(server.url) as client:
        client.set("accepted", "job")
    server.kill()
    with RedisServer(tmp_path / "redis", folder) as again, client_of(again.url) as client:
        assert client.get("accepted") == "job"


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path, runtime_dir: Path) -> None:
    folder = runtime_dir / "orphan"
    folder.mkdir()
    program = (
        "import sys, time; from pathlib import Path; from service.redis_server import RedisServer\n"
        "server = RedisServer(Path(sys.argv[1]), Path(sys.argv[2])); server.start()\n"
        "print(server.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "redis"), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        server = int(parent.stdout.readline())
        assert Path(f"/proc/{server}").exists()
        os.kill(parent.pid, signal.SIGKILL)
    until(lambda: not _alive(server))


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="107 at most"):
        RedisServer(tmp_path, tmp_path / ("x" * 100))


def test_a_redis_like_ours_is_accepted(redis_url: str) -> None:
    with client_of(redis_url) as client:
        check_server(client)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("maxmemory-policy", "allkeys-lru", "set it to noeviction"),
        ("appendonly", "no", "set appendonly yes"),
    ],
)
def test_a_redis_that_would_lose_jobs_is_refused(redis_url: str, name: str, value: str, said: str) -> None:
    with client_of(redis_url) as client:
        before = str(client.config_get(name)[name])
        client.config_set(name, value)
        try:
            with pytest.raises(Misconfigured, match=said):
                check_server(client)
        finally:
            client.config_set(name, before)


def test_a_cluster_is_refused(runtime_dir: Path) -> None:
    folder = runtime_dir / "cluster"
    folder.mkdir()
    socket = folder / "redis.sock"
    options = ["--port", "0", "--cluster-enabled", "yes", "--cluster-port", "7799", "--unixsocket", str(socket)]
    server = subprocess.Popen([server_binary(), *options, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists)
        with pytest.raises(Misconfigured, match="cluster-enabled no"), client_of(f"unix://{socket}") as client:
            check_server(client)
    finally:
        server.terminate()
        server.wait(timeout=10)
