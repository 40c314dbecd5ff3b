"""Ports of this machine, for servers of a benchmark's own."""

from __future__ import annotations

import socket


def free_port() -> int:
    """One that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
