"""Fencing tokens as a worker takes them: the latest lease is served, and none before it."""

from __future__ import annotations

import threading


class StaleToken(Exception):
    """The caller's lease is not the one that this worker serves."""


def generation(token: str) -> int:
    """The counter of a fencing token `<counter>-<random>`; 0 for none."""
    return int(token.partition("-")[0] or 0)


class TokenGuard:
    """The token of the lease that a process serves; it only ever goes on to later ones."""

    def __init__(self) -> None:
        self.token = ""
        self._lock = threading.Lock()

    def take(self, token: str) -> None:
        """Serve this lease from now on. Raises: StaleToken when a later one was served here already."""
        with self._lock:
            if generation(token) < generation(self.token):
                raise StaleToken(f"lease {token} is over; this worker serves {self.token}")
            self.token = token

    def check(self, token: str) -> None:
        """Raises: StaleToken unless this very lease is served."""
        if token != self.token:
            raise StaleToken(f"lease {token} is not the one that this worker serves")
