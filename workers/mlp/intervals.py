"""Intervals of real numbers: what an activation puts out, what a loss takes. Know neither."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Interval:
    """The numbers between two ends; `lowest_in` and `highest_in` say which end belongs to it."""

    lowest: float = -math.inf
    highest: float = math.inf
    lowest_in: bool = False
    highest_in: bool = False

    def within(self, other: Interval) -> bool:
        """Whether each of its numbers is one of the other's."""
        above = self.lowest > other.lowest or (self.lowest == other.lowest and (other.lowest_in or not self.lowest_in))
        below = self.highest < other.highest or (
            self.highest == other.highest and (other.highest_in or not self.highest_in)
        )
        return above and below

    def __contains__(self, number: float) -> bool:
        return Interval(number, number, lowest_in=True, highest_in=True).within(self)

    def __str__(self) -> str:
        ends = (f"{end:g}".replace("inf", "∞").replace("-", "−") for end in (self.lowest, self.highest))
        return f"{'[' if self.lowest_in else '('}{', '.join(ends)}{']' if self.highest_in else ')'}"


REALS: Final = Interval()
POSITIVE: Final = Interval(lowest=0)
NOT_NEGATIVE: Final = Interval(lowest=0, lowest_in=True)
BETWEEN_0_AND_1: Final = Interval(0, 1)
