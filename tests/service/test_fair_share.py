"""Which queued job goes first: by priority, then by fair shares of the running workers, then by age."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from service.acceptance import Acceptance
from service.errors import QueueFull
from service.job_records import Jobs, Limits
from service.jobs import JobStatus, Lease
from service.queue import Queue
from service.spec import JobSpec
from service.store import Store
from tests.service.rooms import Identity, Rooms


class TenantsOfOneDataset(Rooms):
    """Rooms whose data set is everybody's, so that all tenants can use it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.dataset: Identity = self.add_dataset("everybody's", tenant=None)

    def many(self, tenant: str, count: int, **spec: object) -> list[str]:
        return [self.accept(tenant, **spec).id for _ in range(count)]

    def claim_tenant(self, free_slots: int = 8) -> tuple[str, Lease]:
        claimed = self.claim(free_slots)
        return claimed.job.tenant, claimed.lease


@pytest.fixture
def rooms(store: Store) -> TenantsOfOneDataset:
    return TenantsOfOneDataset(store)


def test_who_has_fewer_running_workers_goes_first_however_many_others_wait(rooms: TenantsOfOneDataset) -> None:
    rooms.many("ada", 10), rooms.many("ben", 1), rooms.many("cleo", 1)
    assert [rooms.claim_tenant()[0] for _ in range(4)] == ["ada", "ben", "cleo", "ada"]


def test_workers_count_and_not_jobs(rooms: TenantsOfOneDataset) -> None:
    rooms.many("ada", 2, workers={"min": 2}, shards=2), rooms.many("ben", 4)
    assert [rooms.claim_tenant()[0] for _ in range(6)] == ["ada", "ben", "ben", "ada", "ben", "ben"]


def test_with_fewer_slots_than_tenants_they_take_turns(rooms: TenantsOfOneDataset) -> None:
    rooms.many("ada", 20), rooms.many("ben", 20), rooms.many("cleo", 20)
    served: Counter[str] = Counter()
    running = [rooms.claim_tenant(), rooms.claim_tenant()]
    for _ in range(30):
        tenant, lease = running.pop(0)
        served[tenant] += 1
        rooms.succeed(lease)
        running.append(rooms.claim_tenant(free_slots=1))
    assert served == {"ada": 10, "ben": 10, "cleo": 10}


def test_shares_of_running_workers_are_fair_whoever_has_sent_how_much(rooms: TenantsOfOneDataset) -> None:
    """Ten times as many jobs, of three widths, ended in any order: the workers are shared to within a tenth."""
    chance, slots = random.Random(3), 12
    for tenant, count in (("ada", 600), ("ben", 60), ("cleo", 60)):
        for number in range(count):
            rooms.accept(tenant, workers={"min": 1 + number % 2}, shards=2)
    running: list[tuple[str, int, Lease]] = []
    shares: Counter[str] = Counter()
    for look in range(80):
        while (claimed := rooms.try_claim(slots - sum(width for _, width, _ in running))) is not None:
            running.append((claimed.job.tenant, claimed.job.spec.workers.min, claimed.lease))
        if look >= 10:  # all are well under way
            for tenant, width, _ in running:
                shares[tenant] += width
        *_, lease = running.pop(chance.randrange(len(running)))
        rooms.succeed(lease)
    fair = sum(shares.values()) / 3
    assert all(0.9 * fair <= share <= 1.1 * fair for share in shares.values()), shares


def test_priority_goes_before_fair_shares_and_the_position_says_so(rooms: TenantsOfOneDataset) -> None:
    low = rooms.many("ada", 3)
    (other,) = rooms.many("ben", 1)
    (urgent,) = rooms.many("ada", 1, priority=1)
    order = [urgent, other, *low]  # ada has been served, then, and ben not
    assert rooms.claim().job.id == urgent
    assert [job.job_id for job in rooms.queue.waiting(8)] == order[1:]
    positions = [rooms.jobs.get("ben", other).queue_position, *(rooms.job(job).queue_position for job in low)]
    assert positions == [0, 1, 2, 3]
    assert [rooms.claim().job.id for _ in low] + [rooms.claim().job.id] == order[1:]


def test_what_waits_is_said_in_the_order_of_the_claims(rooms: TenantsOfOneDataset) -> None:
    for number in range(12):
        tenant = ["ada", "ben", "cleo", "ada"][number % 4]
        rooms.accept(tenant, priority=number % 2, workers={"min": 1 + number % 3}, shards=4)
    expected = [(job.job_id, job.priority, job.least) for job in rooms.queue.waiting(8)]
    claimed = [rooms.claim().job for _ in range(12)]
    assert [(job.id, job.spec.priority, job.spec.workers.min) for job in claimed] == expected


def test_a_tenants_running_jobs_are_limited(rooms: TenantsOfOneDataset) -> None:
    rooms.many("ada", 3), rooms.many("ben", 1)
    queue = Queue(rooms.store, max_running=1)
    claimed = [queue.claim(1, 8, str(number)) for number in range(3)]
    assert [one and one.job.tenant for one in claimed] == ["ada", "ben", None]
    assert queue.waiting(8) == []
    assert claimed[0] is not None
    rooms.succeed(claimed[0].lease)
    assert [job.job_id for job in queue.waiting(8)] == [rooms.queue.waiting(8)[0].job_id]


def test_slots_that_are_held_are_given_to_their_job_and_to_what_is_more_important(rooms: TenantsOfOneDataset) -> None:
    small = rooms.many("ada", 2)
    (wide,) = rooms.many("ben", 1, workers={"min": 4}, shards=4)
    (urgent,) = rooms.many("ada", 1, priority=1)

    def claim(free_slots: int) -> str | None:
        claimed = rooms.queue.claim(1, free_slots, secrets.token_hex(8), hold=wide)
        return claimed.job.id if claimed else None

    assert [claim(2), claim(2), claim(4)] == [urgent, None, wide]
    assert [claim(1), claim(1)] == small  # it has what was held for it


@pytest.mark.parametrize(
    ("limits", "named"), [(Limits(queued=3), "DELTAQ_MAX_QUEUED"), (Limits(None, 2), "DELTAQ_MAX_QUEUED_TENANT")]
)
def test_a_full_queue_accepts_no_more_and_loses_nothing(rooms: TenantsOfOneDataset, limits: Limits, named: str) -> None:
    jobs, spec = Jobs(rooms.store, limits), JobSpec(dataset=rooms.dataset.id)
    first = jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=("key", "1")))[0]
    jobs.accept(Acceptance("ada", spec, rooms.dataset)), jobs.accept(Acceptance("ben", spec, rooms.dataset))
    with pytest.raises(QueueFull, match=named):
        jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=("other", "1")))
    assert jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=("key", "1"))) == (first, False)
    assert jobs.find_idempotent("ada", ("other", "1")) is None  # a refused request does not use its key up
    assert rooms.queue.depth() == 3
    rooms.claim()
    assert jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=("other", "1")))[1]


class TestNotBefore:
    def test_a_job_is_not_in_line_before_its_time(self, rooms: Rooms) -> None:
        later = datetime.now(UTC) + timedelta(seconds=0.4)
        job = rooms.accept(not_before=later.isoformat())
        assert job.waits_until is not None
        assert abs(datetime.fromisoformat(job.waits_until) - later) < timedelta(milliseconds=2)
        assert (job.queue_position, rooms.queue.depth(), rooms.queue.waiting(8)) == (None, 1, [])
        wait_s = rooms.queue.promote(1)
        assert wait_s is not None
        assert 0 < wait_s <= 0.4
        assert rooms.try_claim() is None
        while rooms.queue.promote(1) is not None:
            rooms.queue.wait_for_work(0.05)
        assert rooms.job(job.id).waits_until is None
        assert rooms.claim().job.id == job.id

    def test_a_time_that_is_over_says_nothing(self, rooms: Rooms) -> None:
        job = rooms.accept(not_before="2020-01-01T00:00:00Z")
        assert (job.queue_position, job.waits_until, rooms.job(job.id).waits_until) == (0, None, None)
        assert rooms.claim().job.id == job.id

    @pytest.mark.parametrize("verb", ["cancel", "pause"])
    def test_it_can_be_stopped_and_gone_on_with_while_it_waits(self, rooms: Rooms, verb: str) -> None:
        job = rooms.accept(not_before="2100-01-01T00:00:00Z")
        rooms.jobs.request(rooms.tenant, job.id, verb)  # type: ignore[arg-type]
        assert rooms.queue.promote(1) is None
        again = (rooms.jobs.resume if verb == "pause" else rooms.jobs.retry)(rooms.tenant, job.id)
        assert (again.status, again.waits_until) == (JobStatus.QUEUED, "2100-01-01T00:00:00.000Z")
