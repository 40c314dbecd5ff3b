"""Where a process is, as people and as other processes look for it. Knows nothing of what it computes."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The process that an actor is."""

    host: str
    pid: int
    address: str = ""  # of a worker: where it serves gangs of its own node; empty where it cannot

    @classmethod
    def here(cls, address: str = "") -> Place:
        """The process that asks."""
        return cls(socket.gethostname(), os.getpid(), address)


@dataclass(frozen=True)
class Slot:
    """A slot that is leased to a job: the worker on it."""

    name: str  # of the actor
    node: str  # Ray's id of it: what is local is told by that, never by a host's name
    address: str = ""  # as `Place.address`
