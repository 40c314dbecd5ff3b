"""The fixed tree of sums: its shape, and that no way of holding the units changes a sum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.summation import combine, combine_subtrees, complete_subtrees, tree_split


def show(left: str, right: str) -> str:
    """Addition that keeps its order visible."""
    return f"({left}+{right})"


def written(units: set[int], count: int) -> str | None:
    return combine({unit: str(unit) for unit in units}, 0, count, show)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, "0"),
        (2, "(0+1)"),
        (3, "((0+1)+2)"),
        (5, "(((0+1)+(2+3))+4)"),
        (7, "(((0+1)+(2+3))+((4+5)+6))"),
        (8, "(((0+1)+(2+3))+((4+5)+(6+7)))"),
    ],
)
def test_the_tree(count: int, expected: str) -> None:
    assert written(set(range(count)), count) == expected


def test_an_empty_unit_is_skipped_and_moves_no_other() -> None:
    assert written({0, 2, 3, 6}, 8) == "((0+(2+3))+6)"
    assert written({5}, 8) == "5"
    assert written(set(), 8) is None


def test_a_tree_may_begin_at_any_unit() -> None:
    assert combine({4: "4", 5: "5", 6: "6"}, 4, 7, show) == "((4+5)+6)"


def test_minus_zero_stays_minus_zero() -> None:
    only = combine({1: -0.0}, 0, 4, lambda left, right: left + right)
    assert str(only) == "-0.0"


@given(st.integers(2, 10**6), st.integers(0, 10**6))
def test_the_split_is_the_largest_power_of_two_below_the_length(length: int, lo: int) -> None:
    left = tree_split(lo, lo + length) - lo
    assert left & (left - 1) == 0
    assert left < length <= 2 * left


def test_a_single_unit_does_not_split() -> None:
    with pytest.raises(ValueError, match=r"tree\(3, 4\) has 1 units; allowed: 2 or more"):
        tree_split(3, 4)


@given(st.data(), st.integers(1, 70), st.integers(1, 6))
def test_however_the_units_are_held_the_sum_is_the_same(data: st.DataObject, count: int, holders: int) -> None:
    owner = data.draw(st.lists(st.integers(0, holders - 1), min_size=count, max_size=count))
    empty = data.draw(st.sets(st.integers(0, count - 1)))
    units = {unit: str(unit) for unit in range(count) if unit not in empty}

    sent = {}
    for holder in range(holders):
        for lo, hi in complete_subtrees([unit for unit in range(count) if owner[unit] == holder], count):
            total = combine(units, lo, hi, show)
            if total is not None:
                sent[lo, hi] = total

    assert combine_subtrees(sent, 0, count, show) == combine(units, 0, count, show)


@given(st.sets(st.integers(0, 69)), st.integers(0, 70))
def test_complete_subtrees_cover_what_is_held_and_no_two_could_be_one(held: set[int], count: int) -> None:
    subtrees = complete_subtrees(held, count)
    assert [unit for lo, hi in subtrees for unit in range(lo, hi)] == sorted(held & set(range(count)))
    whole = {(lo, hi) for lo, hi in subtrees}
    assert not any(lo < hi and {(lo, middle), (middle, hi)} <= whole for lo, middle, hi in nodes(0, count))


def nodes(lo: int, hi: int) -> list[tuple[int, int, int]]:
    """Every inner node of the tree, with its split."""
    if hi - lo < 2:
        return []
    middle = tree_split(lo, hi)
    return [(lo, middle, hi), *nodes(lo, middle), *nodes(middle, hi)]
