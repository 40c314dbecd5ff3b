"""From settings to processes: folders, ports, environment, and what is refused before anything starts."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.embedded import directories
from service.embedded.deployment import deploy, part_environment, usable_port
from service.embedded.directories import locked_data_dir, sweep
from service.embedded.plan import DRAIN_S, Plan
from service.errors import Misconfigured
from service.settings import Settings, load_settings


def up(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "up", *arguments]
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--workers=0"], {}, "DELTAQ_WORKERS is '0'"),
        (["--port=99999"], {}, "DELTAQ_PORT is '99999'"),
        ([], {"DELTAQ_KERNELS": "fast"}, "DELTAQ_KERNELS is 'fast'; allowed are portable, native"),
        ([], {"DELTAQ_ALLOWED_HOSTS": "[a"}, "DELTAQ_ALLOWED_HOSTS is '[a'"),
        ([], {"DELTAQ_LEASE_S": "0.2"}, "DELTAQ_LEASE_S is '0.2': it must be longer than DELTAQ_BEAT_S, 0.25"),
        (["--data-dir="], {}, "DELTAQ_DATA_DIR is '': it is empty"),
        ([], {"DELTAQ_ARTIFACTS": "foo://x"}, "DELTAQ_ARTIFACTS is 'foo://x': Protocol not known: foo"),
        (["--host=192.0.2.1", "--port=0"], {}, "choose with --host and --port"),
        ([], {"DELTAQ_RAY_ADDRESS": "head:6379"}, "DELTAQ_REDIS_URL (a Redis) and DELTAQ_ARTIFACTS (an fsspec URL)"),
        ([], {"DELTAQ_REDIS_URL": "localhost:6379"}, "(DELTAQ_REDIS_URL) cannot be used"),
    ],
)
def test_what_cannot_work_is_refused_by_name(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    done = up(f"--data-dir={tmp_path / 'data'}", *arguments, **variables)
    assert done.returncode == os.EX_CONFIG, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_redis_of_the_users_own_that_would_lose_jobs_is_refused(tmp_path: Path, redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            done = up(f"--data-dir={tmp_path}", DELTAQ_REDIS_URL=redis_url)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert done.returncode == os.EX_CONFIG
    assert "maxmemory-policy is allkeys-lru: set it to noeviction" in done.stderr


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1:{port}"):
            usable_port("127.0.0.1", port)


def test_a_data_dir_is_for_one_service_and_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "HANDOVER_S", 0.1)
    path = tmp_path / "data"
    with locked_data_dir(path):
        assert path.stat().st_mode & 0o777 == 0o700
        with pytest.raises(Misconfigured, match=f"in use by process {os.getpid()}"), locked_data_dir(path):
            pass
    with locked_data_dir(path):
        assert (path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(Misconfigured, match="cannot be used: File exists"), locked_data_dir(tmp_path / "data"):
        pass


def test_what_killed_runs_left_is_swept_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "FRESH_S", -1.0)
    names = ["deltaq-run-abcdefgh", "deltaq-run-held_one", "deltaq-run-somebody-elses", "deltaq-data"]
    for name in names:
        (tmp_path / name / "ray").mkdir(parents=True)
    (tmp_path / "deltaq-run-linked_1").symlink_to(tmp_path / "deltaq-data")
    held = os.open(tmp_path / "deltaq-run-held_one", os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        sweep(tmp_path)
    finally:
        os.close(held)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names[1:], "deltaq-run-linked_1"])
    assert (tmp_path / "deltaq-data" / "ray").exists()


def test_a_folder_that_another_start_has_just_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "deltaq-run-abcdefgh").mkdir()
    sweep(tmp_path)
    assert (tmp_path / "deltaq-run-abcdefgh").exists()


def test_the_folder_for_sockets_is_short_whatever_tmpdir_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 60)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with directories.runtime_dir() as (path, _):
        socket_of_ray = path / "ray" / "session_2026-11-25_18-30-05_855602_4194304" / "sockets" / "plasma_store"
        assert len(os.fsencode(socket_of_ray)) <= 107
        assert path.stat().st_mode & 0o777 == 0o700
    assert not path.exists()


def test_parts_get_absolute_paths_and_ask_no_proxy_for_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(data_dir=Path("data"), api_keys_file=Path("keys.json"))
    found = part_environment(settings, {"NO_PROXY": "example.org"})
    assert found["DELTAQ_DATA_DIR"] == str(tmp_path / "data")
    assert found["DELTAQ_API_KEYS_FILE"] == str(tmp_path / "keys.json")
    assert found["DELTAQ_ARTIFACTS"] == (tmp_path / "data" / "artifacts").as_uri()
    assert found["NO_PROXY"] == "example.org,localhost,127.0.0.1,::1"
    assert found["no_proxy"] == "localhost,127.0.0.1,::1"


def test_the_parts_read_back_the_settings_that_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path / "data", port=0, workers=3, redis_url="redis://127.0.0.1:1/0")
    made = deploy(settings, tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    read = load_settings()
    assert (read.workers, read.redis_url, read.ray_address) == (3, "redis://127.0.0.1:1/0", made.ray_address)
    assert read.drain_s == DRAIN_S
    assert made.url == f"http://127.0.0.1:{read.port}"
    assert [part.name for part in made.plan.parts] == ["ray-head", "scheduler", "sweeper", "api"]


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = deploy(Settings(data_dir=tmp_path / "data", port=0), tmp_path).plan
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan
    assert [part.name for part in plan.parts] == ["redis", "ray-head", "scheduler", "sweeper", "api"]
    assert [part.name for part in plan.parts if part.drains] == ["scheduler", "api"]
