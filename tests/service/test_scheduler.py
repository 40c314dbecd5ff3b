"""The reconcile loop on the real Redis, with a pool that only remembers what was lent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from service.errors import StoreUnavailable
from service.jobs import JobStatus, Lease
from service.queue import ClaimedJob, Queue
from service.scheduler import Scheduler
from service.settings import Settings
from service.work import Work
from tests.service.rooms import Rooms
from workers.place import Slot

SETTINGS = Settings(lease_s=0.3)


@dataclass
class Lent:
    """A runner that has a job."""

    work: Work


class Pool:
    """Two workers and two runners, as the scheduler sees them."""

    def __init__(self, settings: Settings, epoch: int) -> None:
        self.epoch = epoch
        self.lent: dict[Lease, Lent] = {}
        self.killed: list[Lease] = []
        self.drained = False
        self.settled = True

    def refresh(self, wait_s: float = 0.0) -> None:
        """Nothing dies by itself."""

    def free(self) -> list[Slot]:
        busy = sum(len(one.work.slots) for one in self.lent.values())
        return [Slot(f"worker-{number}", "n") for number in range(2)][busy:]

    def serving(self) -> dict[Lease, Lent]:
        return dict(self.lent)

    def lend(self, work: Work) -> None:
        self.lent[work.lease] = Lent(work)

    def kill(self, member: Lent) -> None:
        self.killed.append(member.work.lease)
        del self.lent[member.work.lease]

    def drain(self, timeout_s: float) -> None:
        self.drained = True

    def picture(self) -> dict[str, Any]:
        return {"nodes": [], "workers": []}


class LosesAnswers(Queue):
    """A queue whose next claim happens, and whose answer is lost."""

    lose = False

    def claim(self, epoch: int, free_slots: int, claim_token: str) -> ClaimedJob | None:
        found = super().claim(epoch, free_slots, claim_token)
        if self.lose:
            self.lose = False
            raise StoreUnavailable("the answer was lost")
        return found


class Bench:
    """A scheduler, its queue and the pool it made."""

    def __init__(self, rooms: Rooms) -> None:
        self.queue = LosesAnswers(rooms.store)
        self.pools: list[Pool] = []
        self.scheduler = Scheduler(SETTINGS, self.queue, self._make)  # type: ignore[arg-type]

    def _make(self, settings: Settings, epoch: int) -> Pool:
        self.pools.append(Pool(settings, epoch))
        return self.pools[-1]

    @property
    def pool(self) -> Pool:
        return self.pools[-1]

    def lent_jobs(self) -> list[str]:
        return [lease.job_id for lease in self.pool.lent]


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
