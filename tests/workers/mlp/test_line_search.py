"""The line search on functions of one number: its conditions, its bounds, and what it does where there is no end."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from workers.mlp.optimizers.line_search import (
    ENOUGH_FALL,
    ENOUGH_FLATNESS,
    MOST_EVALUATIONS,
    LineSearch,
    Point,
    minimum_of,
)

FUNCTIONS: dict[str, Callable[[float], tuple[float, float]]] = {
    "parabola": lambda t: ((t - 3) ** 2, 2 * (t - 3)),
    "quartic": lambda t: ((t - 2) ** 4 - t, 4 * (t - 2) ** 3 - 1),
    "waves": lambda t: (0.05 * t * t - math.sin(3 * t), 0.1 * t - 3 * math.cos(3 * t)),
    "wall": lambda t: (-t - math.log(1 - t), -1 + 1 / (1 - t)) if t < 1 else (math.inf, math.nan),
    "more_and_thuente": lambda t: (-t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2),
}


def tilted(name: str, t: float) -> Point:
    value, slope = FUNCTIONS[name](t)
    return Point(t, value - (0.2 * t if name == "wall" else 0), slope - (0.2 if name == "wall" else 0))


@pytest.mark.parametrize("first", [1e-6, 1e-2, 0.5, 1.0, 40.0, 1e6])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_found_fulfils_both_conditions(name: str, first: float) -> None:
    start, asked = tilted(name, 0.0), []

    def evaluate(t: float) -> Point:
        asked.append(t)
        return tilted(name, t)

    found = LineSearch(evaluate, start).find(first)
    assert found.value <= start.value + ENOUGH_FALL * found.t * start.slope
    assert abs(found.slope) <= -ENOUGH_FLATNESS * start.slope
    assert found.t == asked[-1]
    assert len(asked) <= MOST_EVALUATIONS


def test_a_function_without_end_is_followed_within_the_budget() -> None:
    asked: list[float] = []

    def evaluate(t: float) -> Point:
        asked.append(t)
        return Point(t, -t, -1.0)

    found = LineSearch(evaluate, Point(0.0, 0.0, -1.0)).find(1.0)
    assert len(asked) == MOST_EVALUATIONS
    assert found.t == asked[-1]


def test_a_slope_that_promises_what_is_not_there_leads_nowhere() -> None:
    start = Point(0.0, 1.0, -1.0)
    assert LineSearch(lambda t: Point(t, 1.0 + t, 1.0), start).find(1.0) == start
    assert LineSearch(lambda t: Point(t, math.nan, math.nan), start).find(1.0) == start


def test_the_cubic_through_two_points() -> None:
    def cubic(t: float) -> Point:
        return Point(t, t**3 - 3 * t, 3 * t * t - 3)  # lowest at 1

    assert minimum_of(cubic(0.25), cubic(2.5)) == pytest.approx(1.0, rel=1e-12)
    assert minimum_of(cubic(2.5), cubic(0.25)) == pytest.approx(1.0, rel=1e-12)
    assert minimum_of(Point(1, math.inf, 0), Point(2, 0, 0)) == 1.5
