"""The folders of `deltaq up`: the data directory, one service at a time, and a runtime directory for one run.

Both are for this user alone and held by a lock that ends with the last process that has it, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from service.errors import Misconfigured

PREFIX = "deltaq-run-"
# Ray puts sockets 89 bytes below the folder that holds a runtime directory, and a socket's path has 107.
LONGEST_BASE = 18
FRESH_S = 5.0  # a runtime directory younger than this may not have been locked yet
HANDOVER_S = 3.0  # how long a data directory may still be held by processes that are being ended


@contextlib.contextmanager
def locked_data_dir(path: Path) -> Iterator[int]:
    """Make the data directory and hold it; gives the descriptor of the lock, to be shared with the keeper.

    Raises: Misconfigured naming the process that holds it, or that it cannot be used.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Misconfigured(f"the data directory {path} cannot be used: {error.strerror}") from None
    try:
        _take(descriptor, path)
        os.ftruncate(descriptor, 0)
        with contextlib.suppress(OSError):  # a full disk: it is held all the same, by nobody knows whom
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + HANDOVER_S
    while not _lock(descriptor):
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        if os.path.exists(f"/proc/{holder or '-'}") or time.monotonic() > deadline:
            raise Misconfigured(
                f"the data directory {path} is in use by process {holder or 'unknown'}; "
                "stop that one, or choose another with --data-dir"
            )
        time.sleep(0.02)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def runtime_dir() -> Iterator[tuple[Path, int]]:
    """A new folder for sockets, secrets and Ray's session, and the descriptor that holds it; removed at the end.

    It lies in the system's temporary folder, since a login session's own ends with the login; its lock also keeps
    systemd's cleaning of old files away. What killed runs left there is removed first.
    """
    base = Path(tempfile.gettempdir())
    if len(os.fsencode(base)) > LONGEST_BASE:
        base = Path("/tmp")
    sweep(base)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))  # made with mode 0700
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor)
        yield path, descriptor
    finally:
        remove(path)
        os.close(descriptor)


def sweep(base: Path) -> None:
    """Remove the runtime directories of this user below `base` that no process holds any more."""
    for path in base.glob(f"{PREFIX}*"):
        if re.fullmatch(re.escape(PREFIX) + r"[a-z0-9_]{8}", path.name) and not path.is_symlink():
            with contextlib.suppress(OSError):  # another start may be sweeping the same one
                _sweep_one(path)


def _sweep_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        old = time.time() - found.st_ctime > FRESH_S
        if found.st_uid == os.geteuid() and old and _lock(descriptor):
            remove(path)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a runtime directory; twice does no harm."""
    shutil.rmtree(path, ignore_errors=True)
