"""The reconcile loop on the real Redis, with a pool that only remembers what was lent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.errors import StoreUnavailable
from service.jobs import JobStatus, Lease
from service.queue import ClaimedJob, Queue
from service.scheduler import Scheduler
from service.settings import Settings
from service.store import key
from service.work import Work
from tests.service.rooms import Rooms
from workers.place import Slot

SETTINGS = Settings(lease_s=0.3)


@dataclass
class Lent:
    """A runner that has a job."""

    work: Work
    slots: list[Slot]
    wanted: list[Slot] | None = None  # what it was asked for, and has not answered yet

    @property
    def leases(self) -> list[Lease]:
        return self.work.leases

    @property
    def changing(self) -> bool:
        return self.wanted is not None

    @property
    def bound(self) -> set[Slot]:
        return {*self.slots, *(self.wanted or ())}


class Pool:
    """Slots of one node, and as many runners, as the scheduler sees them."""

    def __init__(self, settings: Settings, epoch: int, capacity: int = 2) -> None:
        self.epoch = epoch
        self.capacity = capacity
        self.of_use = 0
        self.lent: dict[Lease, Lent] = {}
        self.killed: list[Lease] = []
        self.deaths: dict[Lease, str] = {}
        self.sent_back: list[Lease] = []
        self.drained = False
        self.settled = True

    def refresh(self, wait_s: float = 0.0) -> None:
        """Nothing dies by itself."""

    def free(self) -> list[Slot]:
        bound = {slot for one in self.lent.values() for slot in one.bound}
        return [slot for slot in self.slots() if slot not in bound]

    def slots(self) -> list[Slot]:
        return [Slot(f"worker-{number}", "n") for number in range(self.capacity)]

    @property
    def standing(self) -> int:
        return self.capacity

    @property
    def returning(self) -> int:
        return sum(len(set(one.slots) - set(one.wanted)) for one in self.lent.values() if one.wanted is not None)

    def want(self, slots: int) -> None:
        self.of_use = slots

    def resize(self, lease: Lease, slots: list[Slot]) -> None:
        one = self.lent[lease]
        assert not one.changing
        assert one.slots[0] == slots[0]
        assert set(slots) <= {*self.free(), *one.slots}
        one.wanted = slots

    def answer(self) -> None:
        """The runners have done what they were asked for."""
        for one in self.lent.values():
            if one.wanted is not None:
                one.slots, one.wanted = one.wanted, None

    def serving(self) -> dict[Lease, Lent]:
        return {lease: one for one in self.lent.values() for lease in one.leases}

    @property
    def busy(self) -> list[Lent]:
        return list(self.lent.values())

    def lend(self, work: Work) -> None:
        assert set(work.slots) <= set(self.free())
        self.lent[work.lease] = Lent(work, work.slots)

    def kill(self, member: Lent) -> None:
        self.killed.append(member.work.lease)
        self.deaths |= dict.fromkeys(member.leases, "it did not answer")
        del self.lent[member.work.lease]

    def send_back(self, lease: Lease, reason: str) -> None:
        assert lease in self.lent
        self.sent_back.append(lease)

    def drain(self, timeout_s: float) -> None:
        self.drained = True

    def picture(self) -> dict[str, Any]:
        return {"nodes": [], "workers": []}


class LosesAnswers(Queue):
    """A queue whose next claim happens, and whose answer is lost."""

    lose = False

    def claim(
        self, epoch: int, free_slots: int, claim_token: str, *, hold: str | None = None, population: int = 1
    ) -> ClaimedJob | None:
        found = super().claim(epoch, free_slots, claim_token, hold=hold, population=population)
        if self.lose:
            self.lose = False
            raise StoreUnavailable("the answer was lost")
        return found


class Bench:
    """A scheduler, its queue and the pool it made."""

    def __init__(
        self, rooms: Rooms, settings: Settings = SETTINGS, capacity: int = 2, lent: dict[Lease, Lent] | None = None
    ) -> None:
        self.queue = LosesAnswers(rooms.store)
        self.pools: list[Pool] = []
        self.capacity, self.found = capacity, lent or {}
        self.scheduler = Scheduler(settings, self.queue, self._make)  # type: ignore[arg-type]

    def _make(self, settings: Settings, epoch: int) -> Pool:
        self.pools.append(Pool(settings, epoch, self.capacity))
        self.pools[-1].lent.update(self.found)
        return self.pools[-1]

    @property
    def pool(self) -> Pool:
        return self.pools[-1]

    def lent_jobs(self) -> list[str]:
        return [lease.job_id for lease in self.pool.lent]

    def counts(self) -> dict[str, int]:
        """The slots of each running job."""
        return {lease.job_id: len(one.slots) for lease, one in self.pool.lent.items()}

    def tick(self) -> None:
        """A tick that need not wait, and what runners answer to it."""
        self.scheduler.tick()
        self.pool.answer()


@pytest.fixture
def bench(rooms: Rooms) -> Bench:
    bench = Bench(rooms)
    bench.scheduler.tick()
    return bench


def test_jobs_are_lent_workers_until_there_are_none(rooms: Rooms, bench: Bench) -> None:
    jobs = [rooms.accept().id for _ in range(3)]
    bench.scheduler.tick()
    assert bench.lent_jobs() == jobs[:2]
    assert [rooms.status(job) for job in jobs] == [JobStatus.RUNNING, JobStatus.RUNNING, JobStatus.QUEUED]


def test_a_claim_whose_answer_was_lost_still_starts_its_job(rooms: Rooms, bench: Bench) -> None:
    job = rooms.accept().id
    bench.queue.lose = True
    with pytest.raises(StoreUnavailable):
        bench.scheduler.tick()
    assert rooms.status(job) is JobStatus.RUNNING
    bench.scheduler.tick()
    assert bench.lent_jobs() == [job]
    assert rooms.job(job).attempt == 1


def test_a_lost_claim_that_is_over_does_not_stop_the_queue(rooms: Rooms, bench: Bench) -> None:
    job = rooms.accept().id
    bench.queue.lose = True
    with pytest.raises(StoreUnavailable):
        bench.scheduler.tick()
    (entry,) = rooms.queue.running()
    rooms.queue.expire(entry.lease, entry.epoch, beat=None, reason="gone")
    later = rooms.accept().id
    for _ in range(3):
        bench.scheduler.tick()
    assert bench.lent_jobs() == [job, later]


def test_a_job_whose_runner_is_gone_goes_back_and_starts_again(rooms: Rooms, bench: Bench) -> None:
    job = rooms.accept().id
    bench.scheduler.tick()
    (first,) = bench.pool.lent
    bench.pool.lent.clear()
    bench.scheduler.tick()
    bench.scheduler.tick()
    (second,) = bench.pool.lent
    assert (first.job_id, second.job_id) == (job, job)
    assert second.generation > first.generation
    assert rooms.job(job).attempt == 2


def test_who_serves_a_job_is_not_judged_before_it_is_known(rooms: Rooms, bench: Bench) -> None:
    rooms.accept()
    bench.scheduler.tick()
    (lease,) = bench.pool.lent
    bench.pool.lent.clear()
    bench.pool.settled = False
    bench.scheduler.tick()
    assert [entry.lease for entry in rooms.queue.running()] == [lease]


def test_a_silent_runner_is_killed_after_a_lease_and_a_beating_one_is_not(rooms: Rooms, bench: Bench) -> None:
    silent, beating = rooms.accept().id, rooms.accept().id
    bench.scheduler.tick()
    leases = {lease.job_id: lease for lease in bench.pool.lent}
    deadline = time.monotonic() + 10
    while not bench.pool.killed and time.monotonic() < deadline:
        rooms.queue.beat(leases[beating])
        rooms.accept()  # something to wake up for, at once
        bench.scheduler.tick()
    assert bench.pool.killed == [leases[silent]]
    assert leases[beating] in bench.pool.lent


def test_members_of_a_runner_that_was_ended_are_all_suspects(rooms: Rooms, bench: Bench) -> None:
    lone = rooms.accept().id
    bench.scheduler.tick()
    jobs = [rooms.accept_fusable("a").id for _ in range(3)]
    bench.scheduler.tick()
    population = next(one for one in bench.pool.lent.values() if len(one.leases) == 3)
    *_, heard = population.leases
    (alone,) = (lease for lease in bench.pool.lent if lease.job_id == lone)
    deadline = time.monotonic() + 10
    while not bench.pool.killed and time.monotonic() < deadline:
        rooms.queue.beat(heard)
        rooms.queue.beat(alone)
        rooms.store.command("LPUSH", key("wake"), 1)
        bench.scheduler.tick()
    assert bench.pool.killed == [population.work.lease]
    assert {entry.lease for entry in rooms.queue.running()}.isdisjoint(population.leases)
    assert [rooms.store.command("HGET", key("job", job), "deaths") for job in jobs] == ["1", "1", "1"]
    assert rooms.status(lone) is JobStatus.RUNNING


def test_one_leads_and_the_other_waits(rooms: Rooms, bench: Bench) -> None:
    second = Bench(rooms)
    second.scheduler.tick()
    assert second.pools == []
    bench.scheduler.stop()
    assert bench.pool.drained
    second.scheduler.tick()
    assert second.pool.epoch > bench.pool.epoch
    rooms.accept()
    bench.scheduler.tick()
    assert bench.lent_jobs() == []


ELASTIC: dict[str, Any] = {"workers": {"min": 1, "max": 4}, "shards": 4}


def four_slots(rooms: Rooms, lent: dict[Lease, Lent] | None = None) -> Bench:
    """A leader of four slots, and what it finds running."""
    bench = Bench(rooms, Settings(lease_s=60), 4, lent)
    bench.scheduler.tick()
    return bench


def end(rooms: Rooms, bench: Bench, job_id: str) -> None:
    """A job succeeds, and its runner is free."""
    lease = next(lease for lease in bench.pool.lent if lease.job_id == job_id)
    rooms.succeed(lease)
    del bench.pool.lent[lease]


def test_a_job_grows_when_others_end_and_gives_up_what_lets_another_start(rooms: Rooms) -> None:
    bench = four_slots(rooms)
    narrow, elastic = rooms.accept().id, rooms.accept(**ELASTIC).id
    bench.tick()
    assert bench.counts() == {narrow: 1, elastic: 3}
    end(rooms, bench, narrow)
    bench.tick()
    assert bench.counts() == {elastic: 4}
    first, second = rooms.accept().id, rooms.accept(workers={"min": 2}, shards=2).id
    bench.tick()  # asked for three, it has answered
    assert bench.counts() == {elastic: 1}
    bench.tick()
    assert bench.counts() == {elastic: 1, first: 1, second: 2}
    end(rooms, bench, second)
    bench.tick()
    assert bench.counts() == {elastic: 3, first: 1}


def test_a_slot_is_not_given_to_another_job_before_its_job_does_without(rooms: Rooms) -> None:
    bench = four_slots(rooms)
    elastic = rooms.accept(**ELASTIC).id
    bench.tick()
    other = rooms.accept().id
    for _ in range(3):
        bench.scheduler.tick()
        assert bench.lent_jobs() == [elastic]
        assert bench.pool.returning == 1
    bench.pool.answer()
    bench.scheduler.tick()
    assert bench.lent_jobs() == [elastic, other]


def test_nobody_grows_while_somebody_waits_who_could_ever_start(rooms: Rooms) -> None:
    bench = four_slots(rooms)
    narrow, elastic = rooms.accept().id, rooms.accept(**ELASTIC).id
    bench.tick()
    wide = rooms.accept(workers={"min": 4}, shards=4).id  # waits for all to end: there is nothing to give up for it
    end(rooms, bench, narrow)
    bench.tick()
    assert bench.counts() == {elastic: 3}
    rooms.jobs.request(rooms.tenant, wide, "cancel")
    rooms.accept(workers={"min": 5}, shards=8)  # there is no room for it anyway
    bench.tick()
    assert bench.counts() == {elastic: 4}


def test_a_job_that_lost_workers_gets_its_least_back_before_others_start(rooms: Rooms) -> None:
    bench = four_slots(rooms)
    pair, single = rooms.accept(workers={"min": 2}, shards=2).id, rooms.accept(workers={"min": 2}, shards=2).id
    bench.tick()
    (one, _) = bench.pool.lent.values()
    one.slots = one.slots[:1]  # the other worker died
    waiting = rooms.accept().id
    bench.tick()
    assert bench.counts() == {pair: 2, single: 2}
    assert rooms.status(waiting) is JobStatus.QUEUED


def test_a_later_leader_changes_jobs_by_what_serves_them(rooms: Rooms) -> None:
    before = four_slots(rooms)
    elastic = rooms.accept(**ELASTIC).id
    before.tick()
    before.scheduler.stop()
    after = four_slots(rooms, before.pool.lent)
    other = rooms.accept().id
    after.tick()
    after.tick()
    assert after.counts() == {elastic: 3, other: 1}


def test_the_pool_is_told_what_could_be_of_use(rooms: Rooms) -> None:
    bench = four_slots(rooms)
    assert bench.pool.of_use == 0
    rooms.accept(**ELASTIC), rooms.accept(workers={"min": 3}, shards=3)
    bench.tick()
    bench.tick()
    assert bench.pool.of_use == 7


class TestRoom:
    """Who makes room for whom, on four slots."""

    SETTINGS = Settings(lease_s=60, reserve_s=30.0, preempt_s=0.0)

    @pytest.fixture
    def bench(self, rooms: Rooms) -> Bench:
        bench = Bench(rooms, self.SETTINGS, 4)
        bench.scheduler.tick()
        return bench

    def test_a_wide_job_is_not_passed_by_for_ever(self, rooms: Rooms) -> None:
        bench = Bench(rooms, self.SETTINGS.model_copy(update={"reserve_s": 0.0}), 4)
        bench.scheduler.tick()
        running = [rooms.accept().id for _ in range(4)]
        bench.tick()
        wide = rooms.accept(workers={"min": 4}, shards=4).id
        later = [rooms.accept().id for _ in range(4)]
        for job in running:
            bench.tick()
            end(rooms, bench, job)
        bench.tick()
        assert bench.lent_jobs() == [wide]
        end(rooms, bench, wide)
        bench.tick()
        assert bench.lent_jobs() == later

    def test_a_job_that_the_cluster_has_no_room_for_holds_nothing(self, rooms: Rooms, bench: Bench) -> None:
        rooms.accept(workers={"min": 5}, shards=8)
        later = rooms.accept().id
        bench.tick()
        bench.tick()
        assert bench.lent_jobs() == [later]

    def test_a_higher_priority_sends_back_what_is_less_important(self, rooms: Rooms, bench: Bench) -> None:
        jobs = [rooms.accept(priority=priority).id for priority in (0, 1, 0, 2)]
        bench.tick()
        leases = {lease.job_id: lease for lease in bench.pool.lent}
        urgent = rooms.accept(priority=2, workers={"min": 2}, shards=2).id
        bench.tick()
        assert bench.pool.sent_back == [leases[jobs[2]], leases[jobs[0]]]
        bench.tick()
        assert len(bench.pool.sent_back) == 2  # they are asked once
        for lease in list(bench.pool.sent_back):
            rooms.queue.release(lease, "pre-empted")
            del bench.pool.lent[lease]
            bench.tick()  # the slot that is free is held until there is another
        assert sorted(bench.lent_jobs()) == sorted([jobs[1], jobs[3], urgent])
        assert [rooms.job(jobs[number]).queue_position for number in (0, 2)] == [0, 1]

    def test_nothing_is_sent_back_that_is_as_important(self, rooms: Rooms, bench: Bench) -> None:
        for _ in range(4):
            rooms.accept(priority=1)
        bench.tick()
        rooms.accept(priority=1)
        bench.tick()
        bench.tick()
        assert bench.pool.sent_back == []


class TestDeaths:
    def kill(self, rooms: Rooms, bench: Bench, job: str, reason: str | None) -> JobStatus:
        bench.tick()
        (lease,) = bench.pool.lent
        bench.pool.lent.clear()
        if reason is not None:
            bench.pool.deaths[lease] = reason
        bench.scheduler.tick()
        return rooms.status(job)

    def test_a_job_that_kills_its_runners_is_failed_with_what_they_died_of(self, rooms: Rooms, bench: Bench) -> None:
        job = rooms.accept().id
        assert [self.kill(rooms, bench, job, "SIGSEGV") for _ in range(3)] == ["queued", "queued", "failed"]
        assert "runner died: SIGSEGV" in (rooms.job(job).error or {})["detail"]

    def test_what_nobody_saw_die_and_what_died_while_redis_was_away_does_not_count(
        self, rooms: Rooms, bench: Bench
    ) -> None:
        job = rooms.accept().id
        assert {self.kill(rooms, bench, job, None) for _ in range(5)} == {JobStatus.QUEUED}
        bench.queue.lose = True
        with pytest.raises(StoreUnavailable):
            bench.tick()
        assert {self.kill(rooms, bench, job, "SIGKILL") for _ in range(5)} == {JobStatus.QUEUED}


def test_a_job_starts_when_its_time_comes_and_when_what_it_waits_for_is_done(rooms: Rooms, bench: Bench) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    timed = rooms.accept(not_before=soon.isoformat()).id
    first = rooms.accept().id
    second = rooms.accept(after=[first]).id
    bench.tick()
    assert bench.lent_jobs() == [first]
    end(rooms, bench, first)
    bench.tick()
    assert rooms.status(second) is JobStatus.RUNNING
    while datetime.now(UTC) < soon + timedelta(milliseconds=5):
        bench.tick()
    bench.tick()
    assert rooms.status(timed) is JobStatus.RUNNING
