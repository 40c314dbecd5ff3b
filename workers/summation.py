"""The one order in which sums over units (shards, blocks) are made. Knows not what is added.

tree(lo, hi) is a binary tree over the unit numbers lo … hi − 1 that splits at the largest power of two below hi − lo.
Floating-point sums depend on their order, so this one is fixed, however the units are spread over workers: a worker
may add up a complete subtree that it holds, all else is sent singly. An empty unit is skipped and never added as 0,
which would turn −0 into +0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")


def tree_split(lo: int, hi: int) -> int:
    """Return where the tree over lo … hi − 1 splits; it must have two units or more."""
    if hi - lo < 2:
        raise ValueError(f"tree({lo}, {hi}) has {hi - lo} units; allowed: 2 or more")
    return lo + (1 << ((hi - lo - 1).bit_length() - 1))


def combine(units: Mapping[int, T], lo: int, hi: int, add: Callable[[T, T], T]) -> T | None:
    """Add up the units lo … hi − 1 by the tree; those that are missing are empty. None when all are.

    `add` may add in place and return its first operand, if the units may be used up.
    """
    return combine_subtrees({(unit, unit + 1): value for unit, value in units.items()}, lo, hi, add)


def combine_subtrees(sums: Mapping[tuple[int, int], T], lo: int, hi: int, add: Callable[[T, T], T]) -> T | None:
    """Add up complete subtrees, keyed (lo, hi), by the tree; what is missing is empty. None when all is."""
    if (lo, hi) in sums:
        return sums[lo, hi]
    if hi - lo < 2:
        return None
    middle = tree_split(lo, hi)
    left = combine_subtrees(sums, lo, middle, add)
    right = combine_subtrees(sums, middle, hi, add)
    if left is None or right is None:
        return right if left is None else left
    return add(left, right)


def complete_subtrees(held: Iterable[int], count: int) -> tuple[tuple[int, int], ...]:
    """Return the largest subtrees (lo, hi) of tree(0, count) all of whose units are held, from left to right."""
    return _complete_subtrees(frozenset(held), count)


@lru_cache(maxsize=64)  # a worker holds the same shards in one step after the other
def _complete_subtrees(units: frozenset[int], count: int) -> tuple[tuple[int, int], ...]:
    def within(lo: int, hi: int) -> tuple[tuple[int, int], ...]:
        if units.issuperset(range(lo, hi)):
            return ((lo, hi),)
        if hi - lo < 2:
            return ()
        middle = tree_split(lo, hi)
        return within(lo, middle) + within(middle, hi)

    return within(0, count) if count else ()
