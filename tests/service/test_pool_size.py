"""How many workers are kept warm, and where."""

from __future__ import annotations

import pytest

from service import pool_size


@pytest.mark.parametrize(
    ("capacity", "least", "most", "wanted", "total"),
    [
        (4, None, None, 0, 4),
        (4, None, 3, 9, 3),
        (4, 1, None, 0, 1),
        (4, 1, None, 3, 3),
        (4, 1, None, 9, 4),
        (4, 0, 2, 9, 2),
        (2, 3, 8, 0, 2),
        (0, 1, 2, 1, 0),
    ],
)
def test_what_is_of_use_within_the_bounds(
    capacity: int, least: int | None, most: int | None, wanted: int, total: int
) -> None:
    assert pool_size.total(capacity, least, most, wanted) == total


@pytest.mark.parametrize(
    ("started", "wanted", "shares"),
    [
        ({}, 5, {"a": 2, "b": 3}),
        ({}, 3, {"a": 2, "b": 1}),
        ({"b": 2}, 3, {"a": 1, "b": 2}),
        ({"b": 2, "gone": 4}, 2, {"a": 0, "b": 2}),
        ({"a": 2, "b": 3}, 1, {"a": 2, "b": 3}),  # what serves is not ended for a number's sake
    ],
)
def test_what_stands_stays_and_what_is_missing_is_started_node_by_node(
    started: dict[str, int], wanted: int, shares: dict[str, int]
) -> None:
    assert pool_size.shares({"a": 2, "b": 3}, started, wanted) == shares
