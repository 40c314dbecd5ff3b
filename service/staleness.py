"""How stale a gradient may be, and what may be done next so that none is staler.

A gradient's staleness is the number of updates between the reading of the weights that it was computed with and its
own update. Under a bound s, a worker reads weights in which all mini-batches but the last s are (the bounded delay of
Li et al., the stale synchronous parallel model of Ho et al.), and no update is staler than s: with at most s + 1
mini-batches under way, an update is made only while all the others can still be made in time, one after the other.
That of the oldest weights always can, so nothing waits in a circle. Knows no arrays and no workers.

Source: Li et al., Scaling distributed machine learning with the parameter server (OSDI 2014), 3.4; Ho et al., More
effective distributed ML via a stale synchronous parallel parameter server (NIPS 2013), 2.
"""

from __future__ import annotations


class Reads:
    """The mini-batches under way, by their number in the epoch, and the version of the weights that each has read."""

    def __init__(self, bound: int | None = None) -> None:
        self._bound = bound  # None: there is none
        self._read: dict[int, int] = {}

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._read)

    def may_start(self, number: int) -> bool:
        """Whether the weights have what this mini-batch has to know of."""
        return self._bound is None or number - min(self._read, default=number) <= self._bound

    def start(self, number: int, version: int) -> None:
        """It is under way; one that was lost starts again before any later one does."""
        self._read[number] = version

    def may_update(self, number: int, version: int) -> bool:
        """Whether its gradient may change these weights: all others are in time after it."""
        if self._bound is None:
            return True
        others = sorted(read for other, read in self._read.items() if other != number)
        return all(version + later - read <= self._bound for later, read in enumerate(others, start=1))

    def end(self, number: int, version: int) -> int:
        """It is under way no more; answers how stale it is for these weights."""
        return version - self._read.pop(number)


def count(histogram: list[int], staleness: int) -> None:
    """Count an update in `histogram`, whose place i has how many were i updates stale."""
    histogram.extend([0] * (staleness + 1 - len(histogram)))
    histogram[staleness] += 1
