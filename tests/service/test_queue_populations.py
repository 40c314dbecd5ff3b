"""Jobs that can be trained as one are claimed together, each under its own lease, and count as one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pytest

from service.errors import LeaseLost, RedisUnavailable, StoreUnavailable
from service.ids import new_id
from service.jobs import CheckpointRef, JobStatus, Lease
from service.queue import BeatOf, ClaimedJob, Success
from service.store import key
from tests.service.rooms import Rooms

MOST = 32


def claim(rooms: Rooms, free: int = 1, token: str | None = None, population: int = MOST) -> list[ClaimedJob]:
    rooms.queue.lead("test", 30.0)
    found = rooms.queue.claim(1, free, token or secrets.token_hex(8), population=population)
    return [] if found is None else [found, *found.others]


def ids(claimed: Sequence[ClaimedJob]) -> list[str]:
    return [one.job.id for one in claimed]


def share(rooms: Rooms, tenant: str = "ada") -> tuple[int, int]:
    """What is counted of a tenant: running jobs, and their slots."""
    jobs, slots = rooms.store.command("HMGET", key("tenant", tenant), "jobs", "slots")
    return int(jobs), int(slots)


def left_behind(rooms: Rooms) -> list[str]:
    return [*rooms.store.scan("deltaq:fusable:*"), *rooms.store.scan("deltaq:population:*")]


def test_those_of_one_kind_come_together_in_their_order_each_with_its_lease(rooms: Rooms) -> None:
    kinds = ["a", "b", "a", None, "a", "b"]
    jobs = [rooms.accept_fusable(kind).id for kind in kinds]
    first = claim(rooms)
    assert ids(first) == [jobs[0], jobs[2], jobs[4]]
    assert len({one.lease.token for one in first}) == 3
    assert all(rooms.job(job_id).status is JobStatus.RUNNING for job_id in ids(first))
    assert ids(claim(rooms)) == [jobs[1], jobs[5]]
    assert ids(claim(rooms)) == [jobs[3]]
    assert claim(rooms) == []


@pytest.mark.parametrize(("free", "sizes"), [(1, [5]), (2, [3, 2]), (4, [2, 1, 1, 1]), (8, [1] * 5)])
def test_free_slots_share_them(rooms: Rooms, free: int, sizes: list[int]) -> None:
    for _ in range(5):
        rooms.accept_fusable("a")
    assert [len(claim(rooms, free - taken)) for taken in range(len(sizes))] == sizes


def test_a_population_has_its_limit(rooms: Rooms) -> None:
    for _ in range(7):
        rooms.accept_fusable("a")
    assert [len(claim(rooms, population=3)) for _ in range(3)] == [3, 3, 1]


def test_a_population_is_no_larger_than_pays(rooms: Rooms) -> None:
    for _ in range(5):
        rooms.accept_fusable("a", members=2)
    assert [len(claim(rooms)) for _ in range(3)] == [2, 2, 1]


def test_tenants_widths_and_steps_are_never_mixed(rooms: Rooms) -> None:
    rooms.dataset = rooms.add_dataset("everybody's", tenant=None)
    rooms.accept_fusable("a"), rooms.accept_fusable("a", "bob"), rooms.accept_fusable("a", workers={"min": 2}, shards=2)
    assert [len(claim(rooms, 4)) for _ in range(3)] == [1, 1, 1]
    for _ in range(3):
        rooms.accept_fusable("b")
    one, two, three = claim(rooms)
    rooms.queue.record_checkpoint(one.lease, CheckpointRef("a", "0" * 64, 10, {}))
    rooms.queue.record_checkpoint(two.lease, CheckpointRef("b", "0" * 64, 10, {}))
    for member in (one, two, three):
        rooms.queue.release(member.lease, "drained")
    assert ids(claim(rooms)) == ids([one, two])
    assert ids(claim(rooms)) == ids([three])


def test_a_claim_whose_answer_was_lost_gives_the_same_ones_again(rooms: Rooms) -> None:
    for _ in range(3):
        rooms.accept_fusable("a")
    first = claim(rooms, token="claim")
    assert [(one.job.id, one.lease) for one in claim(rooms, token="claim")] == [
        (one.job.id, one.lease) for one in first
    ]
    rooms.queue.release(first[1].lease, "drained")
    assert ids(claim(rooms, token="claim")) == ids([first[0], first[2]])


def test_a_population_counts_as_one_job_until_its_last_is_over(rooms: Rooms) -> None:
    for _ in range(3):
        rooms.accept_fusable("a")
    members = claim(rooms)
    assert share(rooms) == (1, 1)
    rooms.succeed(members[0].lease)
    rooms.queue.release(members[1].lease, "drained")
    assert share(rooms) == (1, 1)
    (again,) = claim(rooms)
    assert share(rooms) == (2, 2)
    rooms.succeed(again.lease)
    rooms.succeed(members[2].lease)
    assert share(rooms) == (0, 0)
    assert left_behind(rooms) == []


def test_the_cancelled_and_the_paused_are_no_longer_offered(rooms: Rooms) -> None:
    jobs = [rooms.accept_fusable("a").id for _ in range(4)]
    rooms.jobs.request("ada", jobs[1], "cancel")
    rooms.jobs.request("ada", jobs[2], "pause")
    assert ids(claim(rooms)) == [jobs[0], jobs[3]]
    rooms.jobs.resume("ada", jobs[2])
    assert ids(claim(rooms)) == [jobs[2]]
    assert not rooms.store.scan("deltaq:fusable:*")


def test_who_may_have_killed_his_runner_goes_on_alone(rooms: Rooms) -> None:
    for _ in range(3):
        rooms.accept_fusable("a")
    members = claim(rooms)
    for member, suspect in zip(members, (True, True, False), strict=True):
        rooms.queue.expire(member.lease, 1, beat=None, reason="it died", suspect=suspect)
    assert [len(claim(rooms)) for _ in range(3)] == [1, 1, 1]


class TestBeatAll:
    @pytest.fixture
    def leases(self, rooms: Rooms) -> list[Lease]:
        for _ in range(4):
            rooms.accept_fusable("a")
        return [one.lease for one in claim(rooms)]

    def test_each_is_renewed_and_recorded_and_hears_what_is_asked_of_it(
        self, rooms: Rooms, leases: list[Lease]
    ) -> None:
        rooms.jobs.request("ada", leases[1].job_id, "cancel")
        rooms.jobs.request("ada", leases[2].job_id, "pause")
        rows = [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}]
        beats = [BeatOf(lease, 1.5, {"step": number}, rows=rows[:number]) for number, lease in enumerate(leases)]
        assert rooms.queue.beat_all(beats) == [None, "cancel", "pause", None]
        assert [len(rooms.jobs.metrics("ada", lease.job_id).items) for lease in leases] == [0, 1, 2, 2]
        assert [rooms.job(lease.job_id).progress for lease in leases] == [{"step": number} for number in range(4)]
        assert {entry.beat for entry in rooms.queue.running()} == {1}
        assert rooms.queue.beat_all(beats) == [None, "cancel", "pause", None]
        assert [len(rooms.jobs.metrics("ada", lease.job_id).items) for lease in leases] == [0, 1, 2, 2]

    def test_one_that_lost_its_lease_writes_nothing_and_the_others_all(self, rooms: Rooms, leases: list[Lease]) -> None:
        rooms.queue.release(leases[1], "drained")
        stale = Lease(leases[2].job_id, f"{leases[2].token}0")
        row = {"epoch": 1, "train_loss": 0.5}
        held = [leases[0], leases[1], stale, leases[3]]
        answers = rooms.queue.beat_all([BeatOf(lease, 0.1, {"step": 7}, rows=[row]) for lease in held])
        assert [type(answer) for answer in answers] == [type(None), LeaseLost, LeaseLost, type(None)]
        assert [len(rooms.jobs.metrics("ada", lease.job_id).items) for lease in leases] == [1, 0, 0, 1]
        assert [rooms.job(lease.job_id).progress.get("step") for lease in leases] == [7, None, None, 7]

    def test_nothing_is_lost_while_redis_is_full(self, rooms: Rooms, leases: list[Lease]) -> None:
        rooms.store.command("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(StoreUnavailable):
                rooms.accept()
            row = {"epoch": 1, "train_loss": 0.5}
            assert rooms.queue.beat_all([BeatOf(lease, 0.1, rows=[row]) for lease in leases]) == [None] * 4
        finally:
            rooms.store.command("CONFIG", "SET", "maxmemory", 0)


def test_ends_that_redis_cannot_take_are_said_to_be_so_and_recorded_when_it_can(rooms: Rooms) -> None:
    leases = [rooms.start() for _ in range(2)]
    ends = [Success(lease, {"loss": 1.0}, {"id": new_id("model"), "job_id": lease.job_id}) for lease in leases]
    rooms.store.command("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        with pytest.raises(RedisUnavailable):
            rooms.queue.succeed_all(ends)
    finally:
        rooms.store.command("CONFIG", "SET", "min-replicas-to-write", 0)
    for _ in range(2):  # its answer may have been lost
        assert rooms.queue.succeed_all(ends) == [None, None]
    assert [rooms.status(lease.job_id) for lease in leases] == [JobStatus.SUCCEEDED] * 2
