"""How long to wait for an answer before who owes it is taken for lost. Knows no clock and nobody who answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from statistics import median

REMEMBERED = 32


class Patience:
    """Waits `factor` times as long as the median of the last answers of one kind took, and `least_s` at least.

    Answers differ by how much was asked for: what is remembered is the time for one unit.
    Units: `least_s` and what is learned and answered in seconds.
    """

    def __init__(self, least_s: float = 2.0, factor: float = 20.0) -> None:
        self._least_s, self._factor = least_s, factor
        self._took: dict[Hashable, deque[float]] = {}

    def learn(self, kind: Hashable, units: int, took_s: float) -> None:
        """Take notice of how long an answer took."""
        self._took.setdefault(kind, deque(maxlen=REMEMBERED)).append(took_s / units)

    def seconds(self, kind: Hashable, units: int, like_s: float) -> float:
        """How long to wait for such an answer; where there was none yet, what one like it took says."""
        took = self._took.get(kind)
        expected = median(took) * units if took else like_s
        return max(self._least_s, self._factor * expected)
