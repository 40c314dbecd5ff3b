"""Schedules as functions of the place: where they begin and end, and what is done where there is hardly time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.mlp.choices import make
from workers.mlp.schedules import (
    SCHEDULES,
    Cosine,
    Exponential,
    InverseScaling,
    OneCycle,
    Plateau,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
)

BASE = 0.4
STEADY = ("constant", "reduce_on_plateau")


def rates(schedule: Schedule, total: int) -> list[float]:
    return [schedule.rate(BASE, t, total) for t in range(total)]


def about(*values: float) -> Any:
    return pytest.approx(list(values), rel=1e-12)


@pytest.mark.parametrize("name", STEADY)
def test_a_steady_rate_stays(name: str) -> None:
    assert rates(make(SCHEDULES, name, "schedule"), 3) == [BASE] * 3


def test_steps_fall_after_every_so_many() -> None:
    assert rates(StepDecay(every=2, factor=0.5), 5) == about(0.4, 0.4, 0.2, 0.2, 0.1)


def test_exponential_falls_each_time() -> None:
    assert rates(Exponential(factor=0.5), 3) == about(0.4, 0.2, 0.1)


def test_inverse_scaling_begins_at_the_whole_rate() -> None:
    assert rates(InverseScaling(power=0.5), 9)[::4] == about(0.4, 0.4 / 5**0.5, 0.4 / 3)


def test_cosine_falls_from_the_whole_rate_to_the_least() -> None:
    schedule = Cosine(least=0.1)
    assert [schedule.rate(BASE, t, 100) for t in (0, 50, 100)] == about(0.4, 0.22, 0.04)
    assert rates(Cosine(), 1) == [BASE]
    assert rates(Cosine(), 2) == about(0.4, 0.2)


def test_warm_up_rises_evenly_and_reaches_the_whole_rate_where_it_ends() -> None:
    assert rates(Cosine(warmup=3), 5) == about(0.1, 0.2, 0.3, 0.4, 0.2)
    assert rates(Cosine(warmup=3), 2) == about(0.1, 0.2)  # longer than the job: it never gets there
    assert rates(Cosine(warmup=3), 3) == about(0.1, 0.2, 0.3)
    assert rates(Cosine(warmup=10**9), 1) == about(0.4 / (10**9 + 1))


def test_one_cycle_rises_to_its_top_and_falls_below_where_it_began() -> None:
    schedule = OneCycle(rise=0.3, start=10, end=100)
    found = rates(schedule, 100)
    assert [found[t] for t in (0, 29, 99)] == about(0.04, 0.4, 0.0004)
    assert found[:30] == sorted(found[:30])
    assert found[29:] == sorted(found[29:], reverse=True)


@pytest.mark.parametrize(("total", "expected"), [(1, [1]), (2, [1, 1 / 1000]), (3, [1, (1 + 1 / 1000) / 2, 1 / 1000])])
def test_one_cycle_begins_at_its_top_where_there_is_no_time_to_rise(total: int, expected: list[float]) -> None:
    assert rates(OneCycle(rise=0.3, start=10, end=100), total) == about(*(BASE * share for share in expected))


@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    total=st.integers(1, 300),
    warmup=st.integers(0, 400),
    rise=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
def test_a_rate_is_never_below_0_nor_above_what_was_asked_for(name: str, total: int, warmup: int, rise: float) -> None:
    options: dict[str, dict[str, float]] = {"cosine": {"warmup": warmup}, "one_cycle": {"rise": rise}}
    found = rates(make(SCHEDULES, {"name": name, **options.get(name, {})}, "schedule"), total)
    assert all(0 <= rate <= BASE * (1 + 1e-12) for rate in found)
    assert max(found) > BASE / 1000


def test_units_are_epochs_but_for_one_cycle() -> None:
    units = {name: make(SCHEDULES, name, "schedule").unit for name in SCHEDULES}
    assert units.pop("one_cycle") == "step"
    assert set(units.values()) == {"epoch"}
    assert make(SCHEDULES, {"name": "cosine", "unit": "step"}, "schedule").unit == "step"
    with pytest.raises(ValueError, match="'day'; allowed: 'epoch', 'step'"):
        make(SCHEDULES, {"name": "cosine", "unit": "day"}, "schedule")


def plateau_rates(
    values: list[float | None], *, higher: bool = False, base: float = BASE, **options: Any
) -> list[float]:
    """The rate after each epoch, with the state written down and read back between them."""
    schedule, plateau = ReduceOnPlateau(**{"factor": 0.5, "patience": 1, **options}), Plateau()
    found = []
    for value in values:
        plateau.judge(schedule, value, higher_is_better=higher)
        plateau = Plateau(**asdict(plateau))
        found.append(plateau.rate(schedule, base))
    return found


def test_a_plateau_longer_than_patience_lowers_the_rate() -> None:
    assert plateau_rates([3, 2, 2, 1, 1, 1, 1]) == about(0.4, 0.4, 0.4, 0.4, 0.4, 0.2, 0.2)
    assert plateau_rates([3, 3, 3], patience=0) == about(0.4, 0.2, 0.1)
    assert plateau_rates([1, 2, 3, 3, 3], higher=True) == about(0.4, 0.4, 0.4, 0.4, 0.2)


def test_cooling_down_is_not_counted() -> None:
    assert plateau_rates([1] * 8, cooldown=2) == about(0.4, 0.4, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1)


def test_what_is_better_by_too_little_is_no_better() -> None:
    assert plateau_rates([1, 0.95, 0.91], threshold=0.1) == about(0.4, 0.4, 0.2)
    assert plateau_rates([1, 0.95, 0.89], threshold=0.1) == about(0.4, 0.4, 0.4)


@pytest.mark.parametrize("higher", [False, True])
def test_a_metric_below_0_that_stays_the_same_is_a_plateau(higher: bool) -> None:
    assert plateau_rates([-0.5, -0.5, -0.5], higher=higher) == about(0.4, 0.4, 0.2)
    better = [-0.5, -0.4, -0.3] if higher else [-0.5, -0.6, -0.7]
    assert plateau_rates([*better, *better[:1]], higher=higher) == about(0.4, 0.4, 0.4, 0.4)


def test_a_metric_that_is_undefined_does_not_improve() -> None:
    assert plateau_rates([None, None, 1, None, 1]) == about(0.4, 0.2, 0.2, 0.2, 0.1)


def test_the_rate_falls_to_the_least_and_is_never_raised_to_it() -> None:
    assert plateau_rates([1] * 4, patience=0, least=0.15) == about(0.4, 0.2, 0.15, 0.15)
    assert plateau_rates([1] * 3, patience=0, least=0.15, base=0.1) == about(0.1, 0.1, 0.1)
