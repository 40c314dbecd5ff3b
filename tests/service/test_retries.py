"""What becomes of a job whose attempt fails: tried again later, or not, and when it is taken to be the cause itself."""

from __future__ import annotations

import pytest

from service.errors import IllegalTransition, LeaseLost, StoreUnavailable
from service.jobs import JobStatus, Lease
from service.queue import DEATHS
from service.store import key
from tests.service.rooms import Rooms

ERROR = StoreUnavailable("the disk is away")


def wait_s(rooms: Rooms) -> float:
    found = rooms.queue.promote(1)
    assert found is not None
    return found


def test_an_error_that_may_pass_is_waited_out_longer_each_time_and_then_fails_the_job(rooms: Rooms) -> None:
    lease = rooms.start(retries=3)
    for number, (least, most) in enumerate([(0.5, 1.0), (1.0, 2.0), (2.0, 4.0)], start=1):
        assert rooms.queue.try_again(lease, ERROR) is JobStatus.QUEUED
        job = rooms.job(lease.job_id)
        assert (job.retried, job.queue_position, job.waits_until is not None) == (number, None, True)
        assert least - 0.2 < wait_s(rooms) <= most
        assert rooms.try_claim() is None
        rooms.bring_due()
        lease = rooms.claim().lease
    assert rooms.queue.try_again(lease, ERROR) is JobStatus.FAILED
    job = rooms.job(lease.job_id)
    assert job.error == {"title": "Store unavailable", "detail": "the disk is away", "hint": ""}
    again = rooms.jobs.retry(rooms.tenant, job.id)
    assert (again.retried, again.queue_position) == (0, 0)


def test_the_time_between_is_bounded_and_partly_chance(rooms: Rooms) -> None:
    waits = set()
    for _ in range(5):
        lease = rooms.start(retries=100)
        rooms.store.command("HSET", f"deltaq:job:{lease.job_id}", "retried", 30)
        rooms.queue.try_again(lease, ERROR)
        (_, due_ms), (now, _) = (
            rooms.store.command("ZRANGE", "deltaq:later", 0, 0, "WITHSCORES"),
            rooms.store.command("TIME"),
        )
        waits.add(round(float(due_ms) / 1000 - int(now), 1))
        rooms.store.command("DEL", "deltaq:later")
    assert all(28 < wait < 61 for wait in waits)
    assert len(waits) > 1


def test_a_job_that_was_to_wait_after_an_error_is_retried_at_once(rooms: Rooms) -> None:
    lease = rooms.start(retries=3)
    rooms.queue.try_again(lease, ERROR)
    rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
    again = rooms.jobs.retry(rooms.tenant, lease.job_id)
    assert (again.waits_until, again.queue_position) == (None, 0)


@pytest.mark.parametrize("retries", [0, 1])
def test_the_same_try_again_answers_the_same_and_counts_once(rooms: Rooms, retries: int) -> None:
    lease = rooms.start(retries=retries)
    said = {rooms.queue.try_again(lease, ERROR) for _ in range(3)}
    assert said == {JobStatus.QUEUED if retries else JobStatus.FAILED}
    assert rooms.job(lease.job_id).retried == 1


@pytest.mark.parametrize(("verb", "status"), [("cancel", JobStatus.CANCELLED), ("pause", JobStatus.PAUSED)])
def test_what_is_asked_comes_before_a_retry(rooms: Rooms, verb: str, status: JobStatus) -> None:
    lease = rooms.start(retries=0)
    rooms.jobs.request(rooms.tenant, lease.job_id, verb)  # type: ignore[arg-type]
    assert rooms.queue.try_again(lease, ERROR) is status


def test_an_old_lease_tries_nothing_again(rooms: Rooms) -> None:
    lease = rooms.bring_to(JobStatus.QUEUED)
    with pytest.raises(LeaseLost):
        rooms.queue.try_again(lease, ERROR)


def die(rooms: Rooms, lease: Lease, step: int | None, *, suspect: bool = True) -> JobStatus | None:
    """The runner dies when it has shown this step."""
    rooms.queue.beat(lease, None if step is None else {"step": step})
    return rooms.queue.expire(lease, 1, beat=None, reason="it was killed", suspect=suspect)


def test_a_death_that_cannot_be_recorded_leaves_no_mark(rooms: Rooms) -> None:
    rooms.accept_fusable("a")
    lease = rooms.claim().lease
    before = rooms.store.command("HGETALL", key("job", lease.job_id))
    with pytest.raises(IllegalTransition):
        rooms.store.run(
            "expire", job=lease.job_id, token=lease.token, epoch=1, line="{}", error="{}", deaths=3, transitions=" "
        )
    assert rooms.store.command("HGETALL", key("job", lease.job_id)) == before


def test_a_job_whose_runners_die_without_progress_is_failed_with_the_last_words(rooms: Rooms) -> None:
    lease = rooms.start()
    for _ in range(DEATHS - 1):
        assert die(rooms, lease, None) is JobStatus.QUEUED
        lease = rooms.claim().lease
    assert die(rooms, lease, None) is JobStatus.FAILED
    assert rooms.queue.expire(lease, 1, beat=None, reason="it was killed", suspect=True) is JobStatus.FAILED
    job = rooms.job(lease.job_id)
    assert job.error is not None
    assert job.error["title"] == "Poisonous"
    assert "3 times without progress; the last time: it was killed" in job.error["detail"]
    assert rooms.try_claim() is None
    rooms.jobs.retry(rooms.tenant, job.id)
    assert die(rooms, rooms.claim().lease, None) is JobStatus.QUEUED  # counted anew


def test_a_job_that_gets_further_each_time_is_no_poison(rooms: Rooms) -> None:
    lease = rooms.start()
    for step in range(1, 8):
        assert die(rooms, lease, step) is JobStatus.QUEUED
        lease = rooms.claim().lease
    for status in (JobStatus.QUEUED, JobStatus.FAILED):  # this one gets no further than the last
        assert die(rooms, lease, 5) is status
        lease = rooms.claim().lease if status is JobStatus.QUEUED else lease


def test_deaths_that_something_else_may_have_caused_do_not_count(rooms: Rooms) -> None:
    lease = rooms.start()
    for _ in range(3 * DEATHS):
        assert die(rooms, lease, 0, suspect=False) is JobStatus.QUEUED
        lease = rooms.claim().lease


def test_what_attempts_have_run_is_added(rooms: Rooms) -> None:
    lease = rooms.start()
    for ran_s in (0.5, 1.5):
        rooms.queue.beat(lease, ran_s=ran_s)
    rooms.queue.release(lease, "drained")
    lease = rooms.claim().lease
    assert rooms.job(lease.job_id).ran_s == 1.5
    rooms.queue.beat(lease, ran_s=2.25)
    assert rooms.job(lease.job_id).ran_s == 3.75
    rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
    rooms.queue.release(lease, "cancelled")
    assert rooms.jobs.retry(rooms.tenant, lease.job_id).ran_s == 0
