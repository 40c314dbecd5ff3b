"""Families of processes, for tests that kill: a mark in the environment finds every member again."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import psutil

MARK = "DELTAQ_TEST_FAMILY"


def until(condition: Callable[[], object], what: str, deadline_s: float = 10.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)


class Family:
    """A Python process and everything that it starts, however far it runs away."""

    def __init__(self, *arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.mark = secrets.token_hex(8)
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *arguments],
                env={**os.environ, **(environment or {}), MARK: self.mark},
                cwd=folder,
                stdout=output,
                stderr=output,
            )

    def members(self) -> list[psutil.Process]:
        """Those that are alive, the first among them."""
        return [process for process in psutil.process_iter() if self._marks(process)]

    def _marks(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def find(self, text: str) -> psutil.Process | None:
        """The member whose command line has this text, the oldest of several."""
        found = [process for process in self.members() if text in command_line(process)]
        return min(found, key=lambda process: (process.create_time(), process.pid), default=None)

    def pid_of(self, text: str) -> int:
        """Its process id. Fails when there is none."""
        process = self.find(text)
        assert process is not None, (
            f"no process with {text!r} among {[command_line(each)[:80] for each in self.members()]}"
        )
        return process.pid

    def said(self) -> str:
        """All that was printed."""
        return self.output.read_text(errors="replace")

    def __enter__(self) -> Family:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for process in self.members():  # a test has failed; the next one starts on clean ground
            process.kill()


def command_line(process: psutil.Process) -> str:
    """Its command line, empty when it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
