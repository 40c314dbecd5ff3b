"""Jobs that come after others: they wait for them, start when all have succeeded, and end when one has not."""

from __future__ import annotations

from typing import Any

import pytest

from service.acceptance import Acceptance
from service.errors import Diverged, IllegalTransition, InvalidSpec, LeaseLost
from service.ids import new_id
from service.jobs import JobStatus, Lease
from service.queue import DEATHS
from service.spec import JobSpec
from tests.service.rooms import Rooms

S = JobStatus


def settle(rooms: Rooms) -> None:
    """What the leader does in each of its looks."""
    while rooms.queue.promote(1, count=1) is not None:
        pass


def fail(rooms: Rooms, lease: Lease) -> None:
    rooms.queue.fail(lease, Diverged("no"))


def cancel(rooms: Rooms, lease: Lease) -> None:
    rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
    rooms.queue.release(lease, "cancelled")


def lose_the_runner(rooms: Rooms, lease: Lease) -> None:
    for _ in range(DEATHS):
        rooms.queue.expire(lease, 1, beat=None, reason="died", suspect=True)
        if rooms.status(lease.job_id) is S.QUEUED:
            lease = rooms.claim().lease


def test_a_job_waits_until_all_that_it_comes_after_have_succeeded(rooms: Rooms) -> None:
    first, second = rooms.accept(), rooms.accept()
    job = rooms.accept(after=[first.id, second.id, first.id])
    assert (job.status, job.queue_position) == (S.QUEUED, None)
    assert set(job.waits_for) == {first.id, second.id}
    assert rooms.queue.depth() == 3
    leases = [rooms.claim().lease, rooms.claim().lease]
    assert rooms.try_claim() is None
    rooms.succeed(leases[1])
    settle(rooms)
    assert rooms.job(job.id).waits_for == [first.id]
    rooms.succeed(leases[0])
    settle(rooms)
    assert rooms.job(job.id).queue_position == 0
    assert rooms.claim().job.id == job.id


def test_what_has_succeeded_already_is_not_waited_for(rooms: Rooms) -> None:
    lease = rooms.bring_to(S.SUCCEEDED)
    assert rooms.accept(after=[lease.job_id]).queue_position == 0


@pytest.mark.parametrize("end", [fail, cancel, lose_the_runner], ids=lambda end: end.__name__)
def test_all_that_come_after_a_job_that_did_not_succeed_are_cancelled(rooms: Rooms, end: Any) -> None:
    lease = rooms.start()
    child = rooms.accept(after=[lease.job_id])
    paused = rooms.accept(after=[lease.job_id])
    rooms.jobs.request(rooms.tenant, paused.id, "pause")
    grandchild = rooms.accept(after=[child.id])
    end(rooms, lease)
    settle(rooms)
    for job_id, parent in ((child.id, lease.job_id), (paused.id, lease.job_id), (grandchild.id, child.id)):
        job = rooms.job(job_id)
        assert job.status is S.CANCELLED
        assert job.error is not None
        assert job.error["title"] == "DependencyFailed"
        assert f"job {parent} is {rooms.status(parent)}" in job.error["detail"]
        assert rooms.ends_said(job_id) == [S.CANCELLED]
    assert rooms.try_claim() is None
    assert rooms.store.command("KEYS", "deltaq:job:*:parents") == []
    assert rooms.store.command("KEYS", "deltaq:job:*:dependants") == []


@pytest.mark.parametrize("status", [S.FAILED, S.CANCELLED])
def test_a_job_after_one_that_has_not_succeeded_is_refused(rooms: Rooms, status: JobStatus) -> None:
    good = rooms.start()
    lease = rooms.bring_to(status)
    with pytest.raises(InvalidSpec, match=f"after.1 .*it is {status}") as refused:
        rooms.accept(after=[good.job_id, lease.job_id])
    assert refused.value.errors[0].pointer == "/after/1"
    missing = new_id("job")
    with pytest.raises(InvalidSpec, match="there is no such job"):
        rooms.accept(after=[missing])
    data = rooms.add_dataset("everybody's", tenant=None)
    with pytest.raises(InvalidSpec, match="there is no such job"):  # another tenant's is none
        rooms.jobs.accept(Acceptance("ben", JobSpec(dataset=data.id, after=(good.job_id,)), data))
    assert rooms.store.command("KEYS", "deltaq:job:*:dependants") == []


def test_a_job_that_is_retried_before_it_is_settled_is_waited_for_again(rooms: Rooms) -> None:
    lease = rooms.start()
    child = rooms.accept(after=[lease.job_id])
    fail(rooms, lease)
    rooms.jobs.retry(rooms.tenant, lease.job_id)
    settle(rooms)
    assert rooms.job(child.id).waits_for == [lease.job_id]
    rooms.succeed(rooms.claim().lease)
    settle(rooms)
    assert rooms.job(child.id).queue_position == 0


def test_a_cancelled_child_is_retried_once_its_parent_is(rooms: Rooms) -> None:
    lease = rooms.start()
    child = rooms.accept(after=[lease.job_id])
    fail(rooms, lease)
    settle(rooms)
    with pytest.raises(IllegalTransition, match=f"{lease.job_id}, has not succeeded: it is failed"):
        rooms.jobs.retry(rooms.tenant, child.id)
    rooms.jobs.retry(rooms.tenant, lease.job_id)
    assert rooms.jobs.retry(rooms.tenant, child.id).waits_for == [lease.job_id]
    rooms.succeed(rooms.claim().lease)
    settle(rooms)
    assert rooms.claim().job.id == child.id


def test_a_paused_child_does_not_start_by_its_parents_success(rooms: Rooms) -> None:
    lease = rooms.start()
    child = rooms.accept(after=[lease.job_id])
    rooms.jobs.request(rooms.tenant, child.id, "pause")
    rooms.succeed(lease)
    settle(rooms)
    assert rooms.status(child.id) is S.PAUSED
    assert rooms.jobs.resume(rooms.tenant, child.id).queue_position == 0


def test_a_leader_of_an_old_epoch_settles_nothing(rooms: Rooms) -> None:
    rooms.queue.lead("leader", 2.0)
    with pytest.raises(LeaseLost):
        rooms.queue.promote(0)
