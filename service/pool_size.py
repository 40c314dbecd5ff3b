"""How many workers the pool keeps warm, and on which nodes. Pure: counts come in and go out."""

from __future__ import annotations

from collections.abc import Mapping


def total(capacity: int, least: int | None, most: int | None, wanted: int) -> int:
    """How many workers there should be: what is of use now, at least `least` (None: all) and at most `most`."""
    bound = limited(capacity, most)
    return max(bound if least is None else min(least, bound), min(wanted, bound))


def limited(capacity: int, most: int | None) -> int:
    """How many workers there may be on so many slots."""
    return capacity if most is None else min(capacity, most)


def shares(slots: Mapping[str, int], started: Mapping[str, int], wanted: int) -> dict[str, int]:
    """How many workers each node should have: those that there are, and what is missing node by node."""
    counts = {node: min(started.get(node, 0), room) for node, room in slots.items()}
    missing = wanted - sum(counts.values())
    for node, room in slots.items():
        more = max(0, min(missing, room - counts[node]))
        counts[node] += more
        missing -= more
    return counts
