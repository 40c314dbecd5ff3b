"""The line search on functions of one number: its conditions, its bounds, and what it does where there is no end.

Source: Moré and Thuente, Line Search Algorithms with Guaranteed Sufficient Decrease (1994), section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from workers.mlp.optimizers.line_search import (
    ENOUGH_FALL,
    ENOUGH_FLATNESS,
    LineSearch,
    Point,
    minimum_of,
)

BUDGET = 25


def noisy_ramp(t: float) -> tuple[float, float]:
    """Moré and Thuente's third: a ramp down, a bend at 1, a ramp up, and waves over all of it."""
    bend, waves = 0.01, 39 * math.pi / 2
    height, slope = (
        (1 - t, -1.0)
        if t <= 1 - bend
        else (t - 1, 1.0)
        if t >= 1 + bend
        else ((t - 1) ** 2 / (2 * bend) + bend / 2, (t - 1) / bend)
    )
    return height + (1 - bend) / waves * math.sin(waves * t), slope + (1 - bend) * math.cos(waves * t)


def yanai(one: float, other: float) -> Callable[[float], tuple[float, float]]:
    """Moré and Thuente's fourth to sixth: two bends, as sharp as these numbers are small."""
    left, right = math.sqrt(1 + one * one) - one, math.sqrt(1 + other * other) - other

    def function(t: float) -> tuple[float, float]:
        far, near = math.hypot(1 - t, other), math.hypot(t, one)
        return left * far + right * near, left * (t - 1) / far + right * t / near

    return function


FUNCTIONS: dict[str, Callable[[float], tuple[float, float]]] = {
    "parabola": lambda t: ((t - 3) ** 2, 2 * (t - 3)),
    "quartic": lambda t: ((t - 2) ** 4 - t, 4 * (t - 2) ** 3 - 1),
    "waves": lambda t: (0.05 * t * t - math.sin(3 * t), 0.1 * t - 3 * math.cos(3 * t)),
    "wall": lambda t: (-t - math.log(1 - t), -1 + 1 / (1 - t)) if t < 1 else (math.inf, math.nan),
    "more_and_thuente_1": lambda t: (-t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2),
    "more_and_thuente_2": lambda t: (
        (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
        5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3,
    ),
    "more_and_thuente_3": noisy_ramp,
    "more_and_thuente_4": yanai(0.001, 0.001),
    "more_and_thuente_5": yanai(0.01, 0.001),
    "more_and_thuente_6": yanai(0.001, 0.01),
}


def tilted(name: str, t: float) -> Point:
    value, slope = FUNCTIONS[name](t)
    return Point(t, value - (0.2 * t if name == "wall" else 0), slope - (0.2 if name == "wall" else 0))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("t", [0.0, 0.3, 0.995])
def test_the_slopes_are_those_of_the_functions(name: str, t: float) -> None:
    width = 1e-7
    between = (tilted(name, t + width).value - tilted(name, t - width).value) / (2 * width)
    assert tilted(name, t).slope == pytest.approx(between, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("first", [1e-6, 1e-2, 0.5, 1.0, 40.0, 1e6])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_found_fulfils_both_conditions(name: str, first: float) -> None:
    start, asked = tilted(name, 0.0), []

    def evaluate(t: float) -> Point:
        asked.append(t)
        return tilted(name, t)

    found = LineSearch(evaluate, start, BUDGET).find(first)
    assert found.value <= start.value + ENOUGH_FALL * found.t * start.slope
    assert abs(found.slope) <= -ENOUGH_FLATNESS * start.slope
    assert found.t == asked[-1]
    assert len(asked) <= BUDGET


def test_a_function_without_end_is_followed_within_the_budget() -> None:
    asked: list[float] = []

    def evaluate(t: float) -> Point:
        asked.append(t)
        return Point(t, -t, -1.0)

    found = LineSearch(evaluate, Point(0.0, 0.0, -1.0), BUDGET).find(1.0)
    assert len(asked) == BUDGET
    assert found.t == asked[-1]


def test_a_slope_that_promises_what_is_not_there_leads_nowhere() -> None:
    start = Point(0.0, 1.0, -1.0)
    assert LineSearch(lambda t: Point(t, 1.0 + t, 1.0), start, BUDGET).find(1.0) == start
    assert LineSearch(lambda t: Point(t, math.nan, math.nan), start, BUDGET).find(1.0) == start


@pytest.mark.parametrize("budget", [1, 2, 3, 6])
def test_with_few_evaluations_it_gives_the_lowest_that_falls_enough(budget: int) -> None:
    start, asked = tilted("waves", 0.0), []

    def evaluate(t: float) -> Point:
        asked.append(tilted("waves", t))
        return asked[-1]

    found = LineSearch(evaluate, start, budget).find(40.0)
    assert len(asked) <= budget
    falling = [point for point in asked if point.value <= start.value + ENOUGH_FALL * point.t * start.slope]
    assert found == min(falling, key=lambda point: point.value, default=start)


def test_it_ends_where_nothing_that_can_be_told_apart_is_left_to_gain() -> None:
    asked: list[float] = []

    def rounded(t: float) -> Point:  # falls by less than its own rounding, and the slope does not say so
        asked.append(t)
        return Point(t, 1.0, -1e-9)

    assert LineSearch(rounded, Point(0.0, 1.0, -1e-9), BUDGET, resolution=1e-7).find(1.0).t == 0
    assert len(asked) == 1


def test_the_cubic_through_two_points() -> None:
    def cubic(t: float) -> Point:
        return Point(t, t**3 - 3 * t, 3 * t * t - 3)  # lowest at 1

    assert minimum_of(cubic(0.25), cubic(2.5)) == pytest.approx(1.0, rel=1e-12)
    assert minimum_of(cubic(2.5), cubic(0.25)) == pytest.approx(1.0, rel=1e-12)
    assert minimum_of(Point(1, math.inf, 0), Point(2, 0, 0)) == 1.5
