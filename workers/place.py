"""Where a process is: its node and its process id, as people look for it. Knows nothing of what it computes."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The process that an actor is."""

    host: str
    pid: int

    @classmethod
    def here(cls) -> Place:
        """The process that asks."""
        return cls(socket.gethostname(), os.getpid())
