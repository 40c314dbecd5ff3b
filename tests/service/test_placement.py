"""Which slots a job gets: near ones first, others only where that pays, and never to and fro."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import placement
from service.gang_size import GangSize
from service.jobs import Lease
from service.placement import Served
from workers.place import Slot

LONG_S, SHORT_S = 1.0, 1e-3  # of computing: the first pays for an exchange between nodes


def slots(*names: str) -> list[Slot]:
    """Slots by their names: the node, and a number."""
    return [Slot(name, name[0]) for name in names]


def names(gang: list[Slot]) -> list[str]:
    return [slot.name for slot in gang]


@pytest.mark.parametrize(
    ("size", "free", "given_slots"),
    [
        (GangSize(1, 1), ["a0", "b0", "b1"], ["a0"]),  # the larger node is kept for who needs it
        (GangSize(1, 2), ["a0", "b0", "b1"], ["b0", "b1"]),
        (GangSize(1, 2, SHORT_S), ["a0", "b0", "b1", "b2"], ["b0", "b1"]),
        (GangSize(1, 8, SHORT_S), ["a0", "b0", "b1"], ["b0", "b1"]),  # another node's would cost more than it brings
        (GangSize(1, 8, LONG_S), ["a0", "b0", "b1"], ["b0", "b1", "a0"]),
        (GangSize(3, 8, SHORT_S), ["a0", "b0", "b1", "c0"], ["b0", "b1", "a0", "c0"]),  # it must cross anyway
        (GangSize(2, 2, SHORT_S), ["a0", "b0", "c0", "c1", "c2"], ["c0", "c1"]),
    ],
)
def test_a_job_starts_where_it_is_fastest(size: GangSize, free: list[str], given_slots: list[str]) -> None:
    assert names(placement.first_slots(size, slots(*free))) == given_slots


def served(size: GangSize, *names: str, job: str = "j") -> Served:
    return Served(Lease(job, "1-a"), size, slots(*names))


@pytest.mark.parametrize(
    ("size", "own", "free", "then"),
    [
        (GangSize(1, 4, SHORT_S), ["a0"], ["a1", "b0"], ["a0", "a1"]),
        (GangSize(1, 4, LONG_S), ["a0"], ["b0", "a1"], ["a0", "a1", "b0"]),
        (GangSize(1, 2, LONG_S), ["a0"], ["b0", "a1"], ["a0", "a1"]),
        (GangSize(1, 2, LONG_S), ["a0", "b0"], ["a1"], None),  # it has all that it can use
        (GangSize(1, 4, SHORT_S), ["a0"], ["b0", "b1"], None),
        (GangSize(2, 4, SHORT_S), ["a0", "b0"], ["a1"], ["a0", "a1"]),  # faster without the other node
    ],
)
def test_idle_slots_go_to_a_job_that_they_make_faster(
    size: GangSize, own: list[str], free: list[str], then: list[str] | None
) -> None:
    changes = placement.grow([served(size, *own)], slots(*free))
    assert [names(gang) for _, gang in changes] == ([] if then is None else [then])


def test_jobs_share_what_is_idle() -> None:
    size = GangSize(1, 4)
    jobs = [served(size, "a0", job="one"), served(size, "b0", "b1", job="two")]
    changes = placement.grow(jobs, slots("a1", "a2", "b2", "b3"))
    assert {lease.job_id: names(gang) for lease, gang in changes} == {
        "one": ["a0", "a1", "a2"],
        "two": ["b0", "b1", "b2", "b3"],
    }


@pytest.mark.parametrize(
    ("own", "free", "waiting", "left"),
    [
        (["a0", "a1", "a2", "a3"], 0, [1], ["a0", "a1", "a2"]),
        (["a0", "a1", "a2", "a3"], 0, [1, 1], ["a0", "a1"]),
        (["a0", "a1", "a2", "a3"], 1, [3], ["a0", "a1"]),
        (["a0", "b0", "a1", "a2"], 0, [1], ["a0", "a1", "a2"]),  # of another node first
        (["a0", "a1", "a2", "a3"], 0, [3, 1, 1, 1], ["a0", "a1"]),  # what three need is not there: the next ones start
        (["a0", "a1", "a2", "a3"], 0, [4], None),
        (["a0", "a1", "a2", "a3"], 2, [2], None),  # enough is free, or soon will be
    ],
)
def test_a_job_gives_up_what_lets_another_start(
    own: list[str], free: int, waiting: list[int], left: list[str] | None
) -> None:
    changes = placement.give_up([served(GangSize(2, 4), *own)], free, waiting)
    assert [names(gang) for _, gang in changes] == ([] if left is None else [left])


def test_who_has_most_to_spare_gives_first() -> None:
    jobs = [served(GangSize(1, 4), "a0", "a1", job="one"), served(GangSize(1, 4), "b0", "b1", "b2", job="two")]
    changes = placement.give_up(jobs, 0, [2])
    assert {lease.job_id: names(gang) for lease, gang in changes} == {"one": ["a0"], "two": ["b0", "b1"]}


def test_a_job_that_lost_workers_comes_back_to_its_least_whatever_it_costs() -> None:
    jobs = [served(GangSize(2, 4, SHORT_S), "a0", job="lost"), served(GangSize(1, 4), "b0", job="well")]
    assert [(lease.job_id, names(gang)) for lease, gang in placement.regain(jobs, slots("b1", "b2"))] == [
        ("lost", ["a0", "b1"])
    ]
    assert placement.regain(jobs, []) == []


SIZES = st.builds(
    lambda least, more, compute_s: GangSize(least, least + more, compute_s, 10**6),
    st.integers(1, 3),
    st.integers(0, 5),
    st.sampled_from([SHORT_S, 0.02, LONG_S]),
)
NODES = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@given(sizes=st.lists(SIZES, min_size=1, max_size=3), rooms=NODES)
def test_growing_comes_to_rest(sizes: list[GangSize], rooms: list[int]) -> None:
    free = slots(*(f"{node}{number}" for node, room in zip("abc", rooms, strict=False) for number in range(room)))
    jobs: dict[Lease, Served] = {}
    for number, size in enumerate(sizes):
        if len(free) >= size.least:
            gang = placement.first_slots(size, free)[: size.least]
            job = Served(Lease(str(number), "1-a"), size, gang)
            jobs[job.lease], free = job, [slot for slot in free if slot not in gang]
    every = {slot for job in jobs.values() for slot in job.slots} | set(free)
    for _ in range(len(every) ** 2 + 2):
        changes = placement.grow(jobs.values(), free)
        if not changes:
            return
        for lease, gang in changes:
            assert gang[0] == jobs[lease].slots[0]
            jobs[lease] = Served(lease, jobs[lease].size, gang)
        held = list(itertools.chain.from_iterable(job.slots for job in jobs.values()))
        assert len(set(held)) == len(held)
        free = [slot for slot in every if slot not in held]
    raise AssertionError("slots go to and fro")
