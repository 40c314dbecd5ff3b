"""Where a process is, as people and as other processes look for it. Knows nothing of what it computes."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from workers.own_memory import own_bytes

_FATAL = "Fatal Python error"
_LAST_LINES, _LAST_LETTERS = 12, 1000


@dataclass(frozen=True)
class Place:
    """The process that an actor is."""

    host: str
    pid: int
    address: str = ""  # of a worker: where it serves gangs of its own node; empty where it cannot
    errors: str = field(default="", compare=False)  # the file that its standard error goes to
    grown_bytes: int = field(default=0, compare=False)  # since it was first asked where it is, before all work

    @classmethod
    def here(cls, address: str = "") -> Place:
        """The process that asks."""
        fresh = _fresh_bytes()
        return cls(socket.gethostname(), os.getpid(), address, _errors(), own_bytes() - fresh)

    def last_words(self) -> str:
        """What the process has last written to its standard error, where that is a file of this machine.

        Python says what signal has ended it, and where it was.
        """
        if self.host != socket.gethostname() or not self.errors:
            return ""
        try:
            text = Path(self.errors).read_text(errors="replace")
        except OSError:
            return ""
        lines = [line for line in text.splitlines() if line and not line.startswith(":")]  # Ray's own marks
        first = max((number for number, line in enumerate(lines) if line.startswith(_FATAL)), default=-_LAST_LINES)
        return "\n".join(lines[first:][:_LAST_LINES])[:_LAST_LETTERS]


@dataclass(frozen=True)
class Slot:
    """A slot that is leased to a job: the worker on it."""

    name: str  # of the actor
    node: str  # Ray's id of it: what is local is told by that, never by a host's name
    address: str = ""  # as `Place.address`


def _errors() -> str:
    with suppress(OSError):
        path = os.readlink("/proc/self/fd/2")
        return path if path.startswith("/") and Path(path).is_file() else ""
    return ""


@cache
def _fresh_bytes() -> int:
    """What this process had when that was first asked."""
    return own_bytes()
