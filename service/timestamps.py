"""The time as people read it. Nothing is decided by it: order comes from sequence numbers, liveness from counters."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The present moment as RFC 3339 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
