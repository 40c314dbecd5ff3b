"""Files that outlive processes, by fsspec URL: a folder here, or an object store. Knows nothing of what they hold.

A file exists for others once a record names it (Redis commits, disk follows), so each is written under a path that
only its writer uses. Paths are made of ids and digests, never of text from outside.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import fsspec

from service.disk_room import require_room
from service.errors import Misconfigured, StoreUnavailable
from workers.datafiles import is_local

Chunk: TypeAlias = bytes | memoryview
Content: TypeAlias = bytes | Path | BinaryIO | list[Chunk]  # whole, to be read, or in pieces

_CHUNK_BYTES = 1 << 20
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)


class Artifacts:
    """The artifact store at a URL; paths are relative to it, with `/` between their parts.

    Units: `min_free` in bytes, for `check_room`; 0: it may be full.
    Raises: Misconfigured where nothing here speaks the URL's protocol.
    """

    def __init__(self, url: str, min_free: int = 0) -> None:
        self.url = url
        self._min_free = min_free
        try:
            self._filesystem, self._root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            allowed = "an fsspec URL whose package is installed, such as file:///path, or s3://bucket/path with s3fs"
            raise Misconfigured(f"DELTAQ_ARTIFACTS is {url!r}: {error}; allowed is {allowed}") from None
        self._local = is_local(self._filesystem)

    def write(self, path: str, content: Content) -> str:
        """Write a file, flushed with its folder where the store is local; returns its SHA-256.

        Raises: StoreUnavailable when there is no room, or the store does not answer.
        """
        with _chunks(content) as chunks, _answering(path):
            return self._write_local(path, chunks) if self._local else self._write_remote(path, chunks)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading.

        Raises: FileNotFoundError, StoreUnavailable.
        """
        with _answering(path):
            return cast(BinaryIO, self._filesystem.open(self._full(path), "rb"))

    def read(self, path: str) -> bytes:
        """All bytes of a file.

        Raises: FileNotFoundError, StoreUnavailable.
        """
        with self.open(path) as file, _answering(path):
            return file.read()

    def check_room(self) -> None:
        """Return while as much as must be is free; of a store elsewhere nobody knows.

        Raises: NoRoom that says how much is free, and what is needed.
        """
        if self._local:
            require_room(Path(self._root), self._min_free, "the artifact store")

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        with _answering(path):
            return bool(self._filesystem.exists(self._full(path)))

    def local_path(self, path: str) -> Path | None:
        """Where the file lies on this machine; None when the store is elsewhere."""
        return Path(self._full(path)) if self._local else None

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is fine.

        Raises: StoreUnavailable.
        """
        with _answering(path), suppress(FileNotFoundError):
            self._filesystem.rm_file(self._full(path))

    def delete_folder(self, path: str) -> None:
        """Delete a folder and all in it; one that is not there is fine.

        Raises: StoreUnavailable.
        """
        with _answering(path), suppress(FileNotFoundError):
            self._filesystem.rm(self._full(path), recursive=True)

    def older_than(self, folder: str, age_s: float) -> list[str]:
        """The files below a folder that were last written at least so many seconds ago.

        Raises: StoreUnavailable.
        """
        limit = datetime.now(UTC) - timedelta(seconds=age_s)
        found = []
        with _answering(folder):
            for full in self._filesystem.find(self._full(folder)):
                with suppress(FileNotFoundError):  # its owner deletes it just now
                    if self._filesystem.modified(full) <= limit:
                        found.append(str(full).removeprefix(f"{self._root}/"))
        return found

    def _full(self, path: str) -> str:
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} is no path of an artifact: parts of letters, digits, . _ - joined by /")
        return f"{self._root}/{path}"

    def _write_local(self, path: str, chunks: Iterable[Chunk]) -> str:
        target = Path(self._full(path))
        _make_folder(target.parent)
        part = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
        try:
            with part.open("xb") as file:
                digest = _copy(chunks, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)  # commits nothing, but nobody meets half a file
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _flush_folder(target.parent)
        return digest

    def _write_remote(self, path: str, chunks: Iterable[Chunk]) -> str:
        full = self._full(path)
        self._filesystem.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
        with self._filesystem.open(full, "wb") as file:
            return _copy(chunks, file)


@contextmanager
def _chunks(content: Content) -> Iterator[Iterable[Chunk]]:
    if isinstance(content, Path):
        with content.open("rb") as file:
            yield _read(file)
    elif isinstance(content, bytes | list):
        pieces = content if isinstance(content, list) else [content]
        yield chain.from_iterable(map(_cut, pieces))
    else:
        yield _read(content)


def _cut(content: Chunk) -> Iterator[Chunk]:
    view = memoryview(content).cast("B")
    return (view[start : start + _CHUNK_BYTES] for start in range(0, len(view), _CHUNK_BYTES))


def _read(source: BinaryIO) -> Iterator[Chunk]:
    return iter(lambda: source.read(_CHUNK_BYTES), b"")


@contextmanager
def _answering(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreUnavailable(f"the artifact store cannot serve {path}: {error}") from error


def _copy(chunks: Iterable[Chunk], target: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each flushed into the one that holds it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
