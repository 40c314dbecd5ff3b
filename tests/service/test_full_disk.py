"""Each part on a disk that is full: what it cannot write it says, and what was there before stays whole."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from service.artifacts import Artifacts
from service.builtin import install_builtins
from service.embedded.directories import locked_data_dir
from service.errors import Misconfigured, StoreUnavailable
from service.preparation import prepare
from service.redis_server import RedisServer
from service.resolution import resolve
from service.spec import JobSpec
from service.spool import Spool
from service.store import Store
from tests.service.data_room import DataRoom
from tests.small_disk import SmallDisk
from workers import logs


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of two megabytes."""
    with SmallDisk(tmp_path / "disk", 2 << 20) as disk:
        yield disk


def test_redis_ends_itself_and_has_all_that_it_answered_once_there_is_room(disk: SmallDisk, runtime_dir: Path) -> None:
    folder = runtime_dir / "full"
    folder.mkdir(exist_ok=True)
    with RedisServer(disk.folder / "redis", folder) as server:
        store = Store(server.url)
        answered = push_until_refused(store)
        assert ends(server) == 1
        disk.fill()
        server.start()  # it reads what it has
        assert store.command("LLEN", "numbers") == answered
        assert push_until_refused(store) == 0
        assert ends(server) == 1
        disk.free()
        server.start()
        assert store.command("LLEN", "numbers") == answered > 0
        store.close()


def push_until_refused(store: Store) -> int:
    """How many numbers it has answered that it keeps."""
    answered = 0
    with suppress(StoreUnavailable):
        while True:
            store.command("RPUSH", "numbers", *range(5000))
            answered += 5000
    return answered


def ends(server: RedisServer) -> int:
    """The exit code with which it ends by itself."""
    assert server.process is not None
    return server.process.wait(timeout=10)


@pytest.mark.parametrize("lost_bytes", [1, 50])
def test_redis_starts_on_a_log_whose_last_entry_is_torn(tmp_path: Path, runtime_dir: Path, lost_bytes: int) -> None:
    folder = runtime_dir / "torn"
    folder.mkdir(exist_ok=True)
    with RedisServer(tmp_path / "redis", folder) as server:
        store = Store(server.url)
        store.command("SET", "first", "kept")
        store.run("create_dataset", dataset="d", tenant="t", name="n", identity="i", document="{}")
        server.kill()
        (log,) = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
        log.write_bytes(log.read_bytes()[:-lost_bytes])
        server.start()
        assert store.command("KEYS", "*") == ["first"]  # of a step, all or nothing
        store.command("SET", "second", "kept")
        server.kill()
        server.start()
        assert sorted(store.command("KEYS", "*")) == ["first", "second"]
        store.close()


def test_a_file_of_the_artifact_store_is_the_old_one_or_none(disk: SmallDisk) -> None:
    artifacts = Artifacts(disk.folder.as_uri())
    artifacts.write("a/b", b"before")
    for path in ("a/b", "a/c"):
        with pytest.raises(StoreUnavailable, match="No space left"):
            artifacts.write(path, bytes(4 << 20))
    assert artifacts.read("a/b") == b"before"
    assert [path.name for path in (disk.folder / "a").iterdir()] == ["b"]


def test_an_upload_is_refused_once(disk: SmallDisk) -> None:
    with Spool(disk.folder / "uploads") as spool:
        disk.fill()
        with pytest.raises(StoreUnavailable, match="No space left"):
            spool.write(bytes(1 << 20))


def test_training_data_that_find_no_room_kill_no_process(store: Store, tmp_path: Path, disk: SmallDisk) -> None:
    room = DataRoom(store, tmp_path)
    digits = next(made for made in install_builtins(room.records, room.artifacts) if made.name == "digits")
    spec = resolve(JobSpec(dataset="digits"), digits).spec
    disk.fill()
    with pytest.raises(StoreUnavailable, match="No space left"):
        prepare(spec, digits, room.artifacts, room.records, disk.folder)
    disk.free()
    assert len(prepare(spec, digits, room.artifacts, room.records, disk.folder).open().x_train) > 1000
    assert list(disk.folder.iterdir()) == []


def test_a_service_may_start_there_and_wait_for_room(disk: SmallDisk) -> None:
    with locked_data_dir(disk.folder / "data"):
        pass
    disk.fill()
    with (
        locked_data_dir(disk.folder / "data"),
        pytest.raises(Misconfigured, match="in use"),
        locked_data_dir(disk.folder / "data"),
    ):
        pass


class Full(io.StringIO):
    """A stream of a file on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_takes_nothing_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    configured = structlog.get_config()
    monkeypatch.setattr(sys, "stderr", Full())
    try:
        logs.configure("info")
        structlog.get_logger().info("lost")
    finally:
        structlog.configure(**configured)
