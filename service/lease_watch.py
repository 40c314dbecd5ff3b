"""Telling that a counter stands still, by one's own monotonic clock. Knows neither Redis nor what is counted.

No wall clock takes part: an outage, a stepped clock or a laptop's sleep must not make every lease look dead at once.
So time counts only while the counter is being looked at: two looks further apart than `gap_s` prove nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass


@dataclass
class _Seen:
    value: Hashable
    since: float
    last: float


class LeaseWatch:
    """Remembers when each counter was last seen to change.

    Units: `patience_s` and `gap_s` in seconds.
    """

    def __init__(self, patience_s: float, *, gap_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._gap_s = gap_s
        self._clock = clock
        self._seen: dict[Hashable, _Seen] = {}

    def stale(self, name: Hashable, value: Hashable) -> bool:
        """Whether `name` has shown this same value all through the last `patience_s`, looked at without a gap."""
        now = self._clock()
        seen = self._seen.get(name)
        if seen is None or seen.value != value or now - seen.last > self._gap_s:
            self._seen[name] = _Seen(value, now, now)
            return False
        seen.last = now
        return now - seen.since >= self._patience_s

    def forget_all_but(self, names: Iterable[Hashable]) -> None:
        """Drop what is no longer watched."""
        kept = set(names)
        self._seen = {name: seen for name, seen in self._seen.items() if name in kept}
