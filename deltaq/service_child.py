"""A whole service as a child of this process: started, waited for, and gone when this process is, however it goes."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from deltaq.errors import DeltaqClientError
from deltaq.launch import command

STOP_S = 10.0
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class ServiceFailed(DeltaqClientError):
    """The service did not start, or ended by itself; carries the end of its log."""


class ServiceChild:
    """`python -m service up` on a free port, with a data directory of its own and none of the user's settings.

    Entering starts it, leaving stops it. Enter it in the main thread: the parent-death signal is that thread's.
    """

    def __init__(self, data_dir: Path, *, workers: int) -> None:
        self._data_dir = data_dir
        self._log = data_dir.parent / "service.log"
        self._command = command("up", "--port", "0", "--data-dir", str(data_dir), "--workers", str(workers))

    def __enter__(self) -> Self:
        kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._data_dir.parent,
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is ours; what follows from it is said below
                preexec_fn=end_with_parent(),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.terminate()
            self._process.wait(STOP_S)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):  # what it started ends with it, also then
            self._process.kill()
            self._process.wait(STOP_S)

    def url(self, timeout_s: float) -> str:
        """Wait until the service is ready, and return its address.

        Raises: ServiceFailed with the end of the log.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                raise self.failed(f"the service ended with code {code} before it was ready")
            try:
                return str(json.loads((self._data_dir / "service.json").read_bytes())["url"])
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.05)
        raise self.failed(f"the service was not ready within {timeout_s:g} s")

    def failed(self, what: str) -> ServiceFailed:
        """An error that says what happened and shows the end of every log."""
        logs = [self._log, *sorted(self._data_dir.glob("logs/*.log"))]
        tails = [f"--- {log.name}\n{_tail(log)}" for log in logs if log.is_file() and log.stat().st_size]
        return ServiceFailed("\n".join([what, *tails]))


def end_with_parent() -> Callable[[], None] | None:
    """What a child runs before its program to get SIGTERM when this process dies; None where the system has no such."""
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask


def _is_setting(name: str) -> bool:
    return name.startswith("DELTAQ_") and name != "DELTAQ_KERNELS"


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
