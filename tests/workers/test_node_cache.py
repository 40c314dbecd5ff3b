"""A node's cache, used by real processes: fetched once, never dropped under a mapping, whole whoever is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from workers.node_cache import NodeCache

LIMIT, SIZE = 1000, 400  # two files fit, three do not

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process that uses a file."""
    users: list[subprocess.Popen[str]] = []

    def starter(name: str, *manner: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "tests.workers.cache_user",
            str(tmp_path),
            str(LIMIT),
            name,
            str(SIZE),
            *manner,
        ]
        users.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return users[-1]

    yield starter
    for user in users:
        user.kill()
        user.communicate()


def said(user: subprocess.Popen[str]) -> str:
    """The next word."""
    output: IO[str] | None = user.stdout
    assert output is not None
    return output.readline().strip()


def fetch_here(folder: Path, name: str, *, used_at: int, limit: int = LIMIT) -> None:
    """Use a file in this process, and let it go; that was so long ago."""
    with NodeCache(folder, limit).open(name, lambda: SIZE, lambda file: file.write(b"x" * SIZE)):
        pass
    os.utime(folder / name, (used_at, used_at))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_what_was_not_used_for_longest_is_dropped(tmp_path: Path) -> None:
    fetch_here(tmp_path, "a.npy", used_at=20)
    fetch_here(tmp_path, "b.npy", used_at=10)
    fetch_here(tmp_path, "c.npy", used_at=30)
    assert names(tmp_path) == ["a.npy", "c.npy"]
    NodeCache(tmp_path, LIMIT).open("a.npy", lambda: SIZE, lambda _: pytest.fail("it is there")).close()
    fetch_here(tmp_path, "b.npy", used_at=40)
    assert names(tmp_path) == ["a.npy", "b.npy"]


def test_what_a_process_has_mapped_stays_until_it_ends_however_it_does(tmp_path: Path, start: Start) -> None:
    user = start("mapped.npy")
    assert [said(user) for _ in range(3)] == ["fetching", "fetched", "open"]
    os.utime(tmp_path / "mapped.npy", (0, 0))
    fetch_here(tmp_path, "b.npy", used_at=10)
    fetch_here(tmp_path, "c.npy", used_at=20)
    assert names(tmp_path) == ["c.npy", "mapped.npy"]
    fetch_here(tmp_path, "d.npy", used_at=30, limit=SIZE)  # nothing else may go: it is more than the limit
    assert names(tmp_path) == ["d.npy", "mapped.npy"]
    user.kill()
    user.wait()
    fetch_here(tmp_path, "e.npy", used_at=40)
    assert names(tmp_path) == ["d.npy", "e.npy"]


def test_a_file_is_fetched_once_for_all(tmp_path: Path, start: Start) -> None:
    first = start("a.npy", "wait")
    assert said(first) == "fetching"
    second = start("a.npy")
    assert names(tmp_path) == ["a.npy.part"]
    assert first.stdin is not None
    first.stdin.write("\n")
    first.stdin.flush()
    assert [said(first), said(first), said(second)] == ["fetched", "open", "open"]


def test_what_a_killed_process_left_of_a_fetch_is_never_read_and_is_made_good(tmp_path: Path, start: Start) -> None:
    killed = start("a.npy", "die")
    killed.wait()
    assert names(tmp_path) == ["a.npy.part"]
    fetch_here(tmp_path, "a.npy", used_at=10)
    assert names(tmp_path) == ["a.npy"]
    assert (tmp_path / "a.npy").read_bytes() == b"x" * SIZE


def test_what_a_killed_process_left_is_dropped_like_all_else(tmp_path: Path, start: Start) -> None:
    start("a.npy", "die").wait()
    os.utime(tmp_path / "a.npy.part", (0, 0))
    fetch_here(tmp_path, "b.npy", used_at=10)
    fetch_here(tmp_path, "c.npy", used_at=10)
    assert names(tmp_path) == ["b.npy", "c.npy"]


def test_less_than_there_is_in_the_store_is_refused(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path, LIMIT)
    with pytest.raises(OSError, match=r"a.npy has 400 bytes in the artifact store, and 1 of them came"):
        cache.open("a.npy", lambda: SIZE, lambda file: file.write(b"x"))
    assert names(tmp_path) == []
