"""Where a process is, as people and as other processes look for it. Knows nothing of what it computes."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from functools import cache

from workers.own_memory import own_bytes


@dataclass(frozen=True)
class Place:
    """The process that an actor is."""

    host: str
    pid: int
    address: str = ""  # of a worker: where it serves gangs of its own node; empty where it cannot
    grown_bytes: int = field(default=0, compare=False)  # since it was first asked where it is, before all work

    @classmethod
    def here(cls, address: str = "") -> Place:
        """The process that asks."""
        fresh = _fresh_bytes()
        return cls(socket.gethostname(), os.getpid(), address, own_bytes() - fresh)


@dataclass(frozen=True)
class Slot:
    """A slot that is leased to a job: the worker on it."""

    name: str  # of the actor
    node: str  # Ray's id of it: what is local is told by that, never by a host's name
    address: str = ""  # as `Place.address`


@cache
def _fresh_bytes() -> int:
    """What this process had when that was first asked."""
    return own_bytes()
