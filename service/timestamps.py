"""The time as people read it. Nothing is decided by it: order comes from sequence numbers, liveness from counters."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The present moment as RFC 3339 in UTC, to the millisecond."""
    return _written(datetime.now(UTC))


def at_ms(milliseconds: int) -> str:
    """A moment, given in milliseconds since 1970, in the same form."""
    return _written(datetime.fromtimestamp(milliseconds / 1000, UTC))


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
