"""The bound on staleness, over any order in which mini-batches are computed, come and are lost."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from service.staleness import Reads, count


class Epoch:
    """An epoch of so many mini-batches under a bound; what happens is drawn."""

    def __init__(self, bound: int | None, workers: int, steps: int) -> None:
        self.reads, self.bound, self.workers, self.steps = Reads(bound), bound, workers, steps
        self.version = self.next = 0
        self.computing: list[int] = []
        self.arrived: list[int] = []
        self.lost: list[int] = []
        self.updated: set[int] = set()
        self.histogram: list[int] = []

    def start(self) -> None:
        """Have every worker compute that may."""
        while len(self.computing) + len(self.arrived) < self.workers:
            number = min(self.lost, default=self.next)
            if number == self.steps or not self.reads.may_start(number):
                return
            self.reads.start(number, self.version)
            self.computing.append(number)
            if self.bound is not None:
                assert set(range(number - self.bound)) <= self.updated, "weights that it reads lack an older mini-batch"
            if number in self.lost:
                self.lost.remove(number)
            else:
                self.next += 1

    def update(self) -> bool:
        """Make an update that may be made; whether there was one."""
        usable = [number for number in self.arrived if self.reads.may_update(number, self.version)]
        if not usable:
            return False
        self.arrived.remove(usable[0])
        count(self.histogram, self.reads.end(usable[0], self.version))
        self.updated.add(usable[0])
        self.version += 1
        return True

    def hear(self, chance: random.Random) -> None:
        """One of those that compute answers, or is lost."""
        number = chance.choice(self.computing)
        self.computing.remove(number)
        if chance.random() < 0.8:
            self.arrived.append(number)
        else:
            self.reads.end(number, self.version)
            self.lost.append(number)


@given(st.one_of(st.none(), st.integers(0, 5)), st.integers(1, 7), st.integers(1, 25), st.integers(0, 1 << 32))
def test_every_mini_batch_is_one_update_and_none_is_staler_than_the_bound(
    bound: int | None, workers: int, steps: int, seed: int
) -> None:
    epoch, chance = Epoch(bound, workers, steps), random.Random(seed)
    while len(epoch.updated) < steps:
        epoch.start()
        while epoch.update():
            epoch.start()
        if len(epoch.updated) < steps:
            assert epoch.computing, "all wait for each other"
            epoch.hear(chance)
    assert sum(epoch.histogram) == steps == epoch.version
    if bound is not None:
        assert len(epoch.histogram) <= bound + 1


def test_the_bound_is_reached_and_held() -> None:
    reads = Reads(1)
    reads.start(0, 0)
    assert reads.may_start(1)
    reads.start(1, 0)
    assert not reads.may_start(2)  # would not know of 0
    assert reads.may_update(1, 0)
    assert reads.end(1, 0) == 0
    assert not reads.may_start(2)
    assert reads.end(0, 1) == 1
    assert reads.may_start(2)


def test_an_update_waits_where_it_would_make_another_too_stale() -> None:
    reads = Reads(2)
    for number in range(3):
        reads.start(number, 0)
    assert reads.may_update(2, 0)
    reads.end(2, 0)
    assert reads.may_update(1, 1)
    reads.end(1, 1)
    assert not reads.may_start(3)  # not without 0
    assert reads.end(0, 2) == 2


def test_without_a_bound_everything_may_be_done() -> None:
    reads = Reads()
    for number in range(100):
        assert reads.may_start(number)
        reads.start(number, 0)
    for number in reversed(range(100)):
        assert reads.may_update(number, 99 - number)
        assert reads.end(number, 99 - number) == 99 - number
