"""A node's cache of files: fetched once, kept as long as some process maps them, dropped by least recent use.

All processes of the node share it, and each may be killed at any point. Who has a file open, or mapped, holds a shared
lock on it; who fetches one holds it alone. The kernel takes back the locks of the dead, so that no count can be wrong.
Knows nothing of what the files hold.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

log = structlog.get_logger()

PART = ".part"
LOCK = ".lock"


@dataclass(frozen=True)
class NodeCache:
    """The files in `folder`; all of them together have at most `limit_bytes`, unless more of them are in use."""

    folder: Path
    limit_bytes: int

    def open(self, name: str, size_bytes: Callable[[], int], fetch: Callable[[BinaryIO], object]) -> BinaryIO:
        """The file of this name, for reading; `fetch` writes so many bytes where this node does not have it.

        It stays in the cache until what is opened here is closed, and every mapping of it.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / name
        while (file := _opened(path)) is None:
            self._fetch(path, size_bytes(), fetch)
        return file

    def _fetch(self, path: Path, size_bytes: int, fetch: Callable[[BinaryIO], object]) -> None:
        part = path.with_name(path.name + PART)
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # who is fetching it already is waited for
            if path.exists() or not _is_at(file, part):
                return
            try:
                self._make_room(file, size_bytes)
                fetch(file)
                file.flush()
                os.fsync(file.fileno())  # the name must not outlive the content when the machine fails
                _check_size(file, size_bytes, path)
                os.replace(part, path)
            except BaseException:
                part.unlink()
                raise

    def _make_room(self, file: BinaryIO, size_bytes: int) -> None:
        """Drop what has not been used for longest, until so much fits; then take it up at once, for others to see."""
        with (self.folder / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            file.truncate(0)  # what a killed process had fetched of it
            files = sorted(self._files())
            excess = size_bytes - self.limit_bytes + sum(size for _, size, _ in files)
            for _, size, path in files:
                if excess <= 0:
                    break
                if _drop(path):
                    excess -= size
            if excess > 0:
                log.warning("the node's cache exceeds its limit: all of it is in use", bytes_too_many=excess)
            file.truncate(size_bytes)

    def _files(self) -> list[tuple[int, int, Path]]:
        """When each was last used, its size, and where it is."""
        found = []
        for path in self.folder.iterdir():
            if path.suffix in (".npy", PART):
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    found.append((stat.st_mtime_ns, stat.st_size, path))
        return found


def _opened(path: Path) -> BinaryIO | None:
    """The file, marked as used now and locked against being dropped; None when it is not there."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    fcntl.flock(file, fcntl.LOCK_SH)
    if not _is_at(file, path):  # it was dropped before it was locked
        file.close()
        return None
    os.utime(file.fileno())
    return file


def _drop(path: Path) -> bool:
    """Remove a file that nobody uses."""
    with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(file, path):
            path.unlink()
            return True
    return False


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether this very file is what the path leads to."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _check_size(file: BinaryIO, size_bytes: int, path: Path) -> None:
    found = os.fstat(file.fileno()).st_size
    written = file.tell()
    if written != size_bytes or found != size_bytes:
        raise OSError(f"{path.name} has {size_bytes} bytes in the artifact store, and {written} of them came")
