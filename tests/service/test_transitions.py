"""Every pair of states, tried by every verb on the real Redis: what TRANSITIONS has happens, nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import product

import pytest

from service.errors import Conflict, Diverged, IllegalTransition
from service.job_records import RetryFrom, Verb
from service.jobs import TRANSITIONS, CheckpointRef, JobStatus, Lease
from tests.service.rooms import Rooms

Way = Callable[[Rooms, Lease], object]


def asked(verb: Verb) -> Way:
    """A request, and then what the runner does when it learns of it."""

    def both(rooms: Rooms, lease: Lease) -> None:
        rooms.jobs.request(rooms.tenant, lease.job_id, verb)
        rooms.queue.release(lease, verb)

    return both


# Every way by which anybody could try to bring a job into a state.
WAYS: dict[JobStatus, list[Way]] = {
    JobStatus.RUNNING: [lambda rooms, lease: rooms.try_claim()],
    JobStatus.SUCCEEDED: [lambda rooms, lease: rooms.succeed(lease)],
    JobStatus.FAILED: [lambda rooms, lease: rooms.queue.fail(lease, Diverged("no"))],
    JobStatus.CANCELLED: [asked("cancel")],
    JobStatus.PAUSED: [asked("pause")],
    JobStatus.QUEUED: [
        lambda rooms, lease: rooms.jobs.resume(rooms.tenant, lease.job_id),
        lambda rooms, lease: rooms.jobs.retry(rooms.tenant, lease.job_id, "checkpoint"),
        lambda rooms, lease: rooms.jobs.retry(rooms.tenant, lease.job_id, "start"),
        lambda rooms, lease: rooms.queue.release(lease, "drained"),
        lambda rooms, lease: rooms.queue.expire(lease, 1, beat=None, reason="its node died"),
    ],
}


@pytest.mark.parametrize(("source", "target"), list(product(JobStatus, JobStatus)))
def test_each_pair_of_states(rooms: Rooms, source: JobStatus, target: JobStatus) -> None:
    reached = set()
    for way in WAYS[target]:
        lease = rooms.bring_to(source)
        events_before = len(rooms.events.read(lease.job_id).events)
        with suppress(Conflict):
            way(rooms, lease)
        after = rooms.status(lease.job_id)
        reached.add(after)
        if after is source:  # nothing happened, so nothing may be said
            assert len(rooms.events.read(lease.job_id).events) == events_before
        with suppress(Conflict):  # out of the next one's way
            rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
        for running in rooms.queue.running():
            rooms.queue.release(running.lease, "cancelled")
    assert reached - {source} == ({target} if (source, target) in TRANSITIONS else set())


@pytest.mark.parametrize("status", [status for status in JobStatus if status.terminal])
def test_a_refused_verb_names_the_state_and_leaves_no_mark(rooms: Rooms, status: JobStatus) -> None:
    lease = rooms.bring_to(status)
    before = rooms.job(lease.job_id)
    verbs: tuple[Verb, ...] = ("cancel", "pause")
    for verb in verbs:
        if status is JobStatus.CANCELLED and verb == "cancel":
            continue  # the same cancel again
        with pytest.raises(IllegalTransition, match=f"{lease.job_id} is {status}: {verb} is not possible"):
            rooms.jobs.request(rooms.tenant, lease.job_id, verb)
    with pytest.raises(IllegalTransition, match=f"is {status}"):
        rooms.jobs.resume(rooms.tenant, lease.job_id)
    assert rooms.job(lease.job_id) == before


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
@pytest.mark.parametrize("start", ["start", "checkpoint"])
def test_a_retried_job_is_struck_down_by_no_old_mark(rooms: Rooms, status: JobStatus, start: RetryFrom) -> None:
    lease = rooms.start()
    asked_for: Verb = "cancel" if status is JobStatus.CANCELLED else "pause"
    for _ in range(2):
        rooms.jobs.request(rooms.tenant, lease.job_id, asked_for)
    if status is JobStatus.CANCELLED:
        rooms.queue.release(lease, "cancelled")
    else:
        rooms.queue.fail(lease, Diverged("no"))
    for verb in ("pause", "cancel", "pause"):
        with suppress(IllegalTransition):
            rooms.jobs.request(rooms.tenant, lease.job_id, verb)

    assert rooms.jobs.retry(rooms.tenant, lease.job_id, start).status is JobStatus.QUEUED
    again = rooms.claim()
    assert again.job.id == lease.job_id
    assert rooms.queue.beat(again.lease) is None
    rooms.succeed(again.lease)
    assert rooms.status(lease.job_id) is JobStatus.SUCCEEDED


def test_the_same_verb_again_answers_the_same_and_says_nothing_twice(rooms: Rooms) -> None:
    lease = rooms.start()
    for verb in ("pause", "cancel"):  # cancel overrides pause
        first = rooms.jobs.request(rooms.tenant, lease.job_id, verb)
        assert first.requested == verb
        said = len(rooms.events.read(lease.job_id).events)
        assert rooms.jobs.request(rooms.tenant, lease.job_id, verb) == first
        assert len(rooms.events.read(lease.job_id).events) == said
    with pytest.raises(IllegalTransition, match=r"running \(cancel is requested\): pause"):
        rooms.jobs.request(rooms.tenant, lease.job_id, "pause")
    assert rooms.queue.release(lease, "cancelled") is JobStatus.CANCELLED
    ended = rooms.job(lease.job_id)
    assert rooms.jobs.request(rooms.tenant, lease.job_id, "cancel") == ended


def test_a_pause_that_is_not_yet_obeyed_can_be_taken_back(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.jobs.request(rooms.tenant, lease.job_id, "pause")
    resumed = rooms.jobs.resume(rooms.tenant, lease.job_id)
    assert (resumed.status, resumed.requested) == (JobStatus.RUNNING, None)
    assert rooms.jobs.resume(rooms.tenant, lease.job_id) == resumed
    # The runner may have seen the flag already: it pauses in vain, and the job goes back into the queue.
    assert rooms.queue.release(lease, "paused") is JobStatus.QUEUED


def test_resume_and_retry_again_answer_the_same_while_the_job_goes_on(rooms: Rooms) -> None:
    paused = rooms.bring_to(JobStatus.PAUSED)
    rooms.jobs.resume(rooms.tenant, paused.job_id)
    rooms.claim()
    assert rooms.jobs.resume(rooms.tenant, paused.job_id).status is JobStatus.RUNNING
    failed = rooms.bring_to(JobStatus.FAILED)
    rooms.jobs.retry(rooms.tenant, failed.job_id, "start")
    assert rooms.jobs.retry(rooms.tenant, failed.job_id, "start").status is JobStatus.QUEUED
    with pytest.raises(IllegalTransition, match="is queued: retry"):
        rooms.jobs.retry(rooms.tenant, failed.job_id, "checkpoint")
    rooms.succeed(rooms.claim().lease)
    with pytest.raises(IllegalTransition, match="is succeeded: retry"):
        rooms.jobs.retry(rooms.tenant, failed.job_id, "start")


def test_a_retry_is_not_the_same_again_once_something_else_is_asked(rooms: Rooms) -> None:
    lease = rooms.bring_to(JobStatus.CANCELLED)
    rooms.jobs.retry(rooms.tenant, lease.job_id, "start")
    rooms.claim()
    rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
    with pytest.raises(IllegalTransition, match=r"running \(cancel is requested\): retry"):
        rooms.jobs.retry(rooms.tenant, lease.job_id, "start")


@pytest.mark.parametrize(("start", "rows"), [("start", []), ("checkpoint", [{"epoch": 1}])])
def test_a_retry_from_the_start_forgets_what_was_reached(rooms: Rooms, start: RetryFrom, rows: list[object]) -> None:
    lease = rooms.start()
    rooms.queue.record_epoch(lease, {"epoch": 1})
    rooms.queue.record_checkpoint(lease, CheckpointRef("path", "0" * 64, 9, {}))
    rooms.queue.beat(lease, {"step": 9})
    rooms.queue.fail(lease, Diverged("no"))
    job = rooms.jobs.retry(rooms.tenant, lease.job_id, start)
    assert rooms.jobs.metrics(rooms.tenant, lease.job_id).items == rows
    assert (job.metrics is None, job.checkpoint is None, job.progress == {}) == (start == "start",) * 3


def test_a_job_that_was_never_paused_or_ended_is_not_resumed_or_retried(rooms: Rooms) -> None:
    job = rooms.accept()
    with pytest.raises(IllegalTransition, match="is queued: resume"):
        rooms.jobs.resume(rooms.tenant, job.id)
    with pytest.raises(IllegalTransition, match="is queued: retry"):
        rooms.jobs.retry(rooms.tenant, job.id, "start")
