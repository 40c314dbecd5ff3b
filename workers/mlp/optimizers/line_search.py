"""How far to go in one direction: a search for a step that fulfils the strong Wolfe conditions. Knows no network.

With φ(t) the function along the direction, a step t is taken where

    φ(t) ≤ φ(0) + c₁ t φ'(0)        it falls enough            c₁ = 10⁻⁴
    |φ'(t)| ≤ c₂ |φ'(0)|            and has become flat enough  c₂ = 0.9

Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6. Python's float64 throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

ENOUGH_FALL: Final = 1e-4
ENOUGH_FLATNESS: Final = 0.9
NEAREST: Final = 1.5
FARTHEST: Final = 10.0  # times the last step that was tried, while nothing bounds it
MARGIN: Final = 0.1  # of a bracket's width: no trial is nearer to its ends


class Point(NamedTuple):
    """A step, and value and slope of the function there; a value that is no number counts as too high."""

    t: float
    value: float
    slope: float


@dataclass
class LineSearch:
    """One search from `start`, where the slope is below 0; it asks for `left` more points at most."""

    evaluate: Callable[[float], Point]
    start: Point
    left: int
    resolution: float = 0.0  # a difference between values that says nothing

    def find(self, first: float) -> Point:
        """Return a point that fulfils both conditions, else the lowest that falls enough, else `start`."""
        before, here = self.start, self._try(first)
        while True:
            if self._too_high(here) or (before is not self.start and here.value >= before.value):
                return self._between(before, here)
            if self._flat(here) or not self.left:
                return here
            if here.slope >= 0:
                return self._between(here, before)
            before, here = here, self._try(self._beyond(before, here))

    def _between(self, low: Point, high: Point) -> Point:
        """Narrow a bracket down; `low` is the lowest point known that falls enough, and the function falls from it."""
        while self.left and low.slope * (low.t - high.t) > self.resolution:
            margin = MARGIN * abs(high.t - low.t)
            nearest, farthest = min(low.t, high.t) + margin, max(low.t, high.t) - margin
            here = self._try(min(max(minimum_of(low, high), nearest), farthest))
            if self._too_high(here) or here.value >= low.value:
                high = here
                continue
            if self._flat(here):
                return here
            if here.slope * (high.t - low.t) >= 0:
                high = low
            low = here
        return low

    def _beyond(self, before: Point, here: Point) -> float:
        """Where to try next while the function still falls: far out if the cubic has no minimum ahead."""
        ahead = minimum_of(before, here)
        return min(max(ahead, NEAREST * here.t), FARTHEST * here.t) if ahead > here.t else FARTHEST * here.t

    def _try(self, t: float) -> Point:
        self.left -= 1
        return self.evaluate(t)

    def _too_high(self, point: Point) -> bool:
        return not point.value <= self.start.value + ENOUGH_FALL * point.t * self.start.slope

    def _flat(self, point: Point) -> bool:
        return abs(point.slope) <= -ENOUGH_FLATNESS * self.start.slope


def minimum_of(one: Point, other: Point) -> float:
    """Return where the cubic through two points and their slopes is lowest; their middle where it is not.

    Source: Nocedal and Wright, equation 3.59.
    """
    middle = (one.t + other.t) / 2
    if not all(map(math.isfinite, (*one, *other))) or one.t == other.t:
        return middle
    d1 = one.slope + other.slope - 3 * (one.value - other.value) / (one.t - other.t)
    square = d1 * d1 - one.slope * other.slope
    if not 0 <= square < math.inf:
        return middle
    d2 = math.copysign(math.sqrt(square), other.t - one.t)
    below = other.slope - one.slope + 2 * d2
    return other.t - (other.t - one.t) * (other.slope + d2 - d1) / below if below else middle
