"""Attempts disturbed while a checkpoint is written: nobody meets half of one, nor one that is not the newest."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.checkpoints import read_checkpoint
from service.errors import LeaseLost
from service.jobs import CheckpointRef, Job, JobStatus, Lease
from service.store import Store
from tests.service.attempt_process import attempt_and_die
from tests.service.attempt_room import AttemptRoom, Disturb, ObservedAttempt
from tests.service.families import until

DIGITS: dict[str, Any] = {"dataset": "digits", "network": {"hidden": [64, 64]}, "optimizer": {}, "shards": 1}
EPOCHS, STEPS_PER_EPOCH = 200, 45  # 1,438 rows in mini-batches of 32
CALLS = 700  # of some five saves


@pytest.fixture(autouse=True)
def _logged() -> Iterator[None]:
    """What the processes' own log got is not shown."""
    with capture_logs():
        yield


@pytest.fixture
def room(store: Store, tmp_path: Path) -> AttemptRoom:
    """Checkpoints are written after every step."""
    return AttemptRoom(store, tmp_path, checkpoint_s=0.0)


def at_the_first_write(attempt: ObservedAttempt, do: Callable[[], object]) -> None:
    """Do something once in the thread that writes checkpoints, before the first one is written."""
    waiting = [do]

    def before_write(path: str) -> None:
        if path.startswith("checkpoints/") and waiting:
            waiting.pop()()

    attempt.artifacts.before_write = before_write  # type: ignore[attr-defined]


def test_the_late_write_of_who_lost_the_job_does_not_replace_a_newer_token_s(room: AttemptRoom) -> None:
    job = room.submit()
    attempt = room.attempt()
    later = CheckpointRef("checkpoints/of/another", "0" * 64, 9, {})

    def lose() -> None:
        room.rooms.queue.expire(attempt.lease_at_work, 1, beat=None, reason="taken away")
        claimed = room.rooms.claim()
        assert claimed.lease.generation > attempt.lease_at_work.generation
        room.rooms.queue.record_checkpoint(claimed.lease, later)

    at_the_first_write(attempt, lose)
    with pytest.raises(LeaseLost):
        attempt.run()
    assert len(room.files("checkpoints")) > 0  # it wrote, and nobody will read it
    assert room.rooms.job(job.id).checkpoint == later


def test_a_fault_of_who_writes_fails_the_job_by_its_name(room: AttemptRoom) -> None:
    def fault() -> None:
        raise ZeroDivisionError("a fault")

    room.submit(epochs=100_000)
    attempt = room.attempt()
    at_the_first_write(attempt, fault)
    attempt.run()
    job = room.rooms.job(attempt.lease_at_work.job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert "ZeroDivisionError: a fault" in job.error["detail"]


def take_over(room: AttemptRoom) -> Job:
    """Take the job off its dead runner, as the leader does; answers it as it is then."""
    lease: Lease = room.rooms.queue.running()[0].lease
    room.rooms.queue.expire(lease, 1, beat=None, reason="killed")
    job = room.rooms.job(lease.job_id)
    assert job.status is JobStatus.QUEUED
    return job


@pytest.mark.parametrize(
    "kills",
    [
        5,
        pytest.param(50, marks=[pytest.mark.chaos, pytest.mark.timeout(600)]),
    ],
)
def test_killed_at_any_point_of_a_save_the_newest_can_be_read(
    room: AttemptRoom, redis_url: str, tmp_path: Path, kills: int
) -> None:
    spec = {**DIGITS, "network": {"hidden": [512, 512]}, "optimizer": {"momentum": 0.9}, "batch_size": 256}
    chance, reached = random.Random(kills), 0
    job = room.submit(**spec, epochs=4 * kills)
    for _ in range(kills):
        attempt_and_die(redis_url, tmp_path, "call", chance.randrange(1, CALLS), checkpoint_s=0.0)
        newest = take_over(room).checkpoint
        if newest is not None:
            assert newest.step >= reached
            assert read_checkpoint(newest, room.artifacts).version == newest.step
            reached = newest.step
    assert reached > 0
    room.settings = room.settings.model_copy(update={"checkpoint_s": 3600.0})
    ended = room.run()
    assert (ended.id, ended.attempt) == (job.id, kills + 1)
    room.submit(**spec, epochs=4 * kills)
    assert weights(ended) == weights(room.run())


def weights(job: Job) -> str:
    assert job.status is JobStatus.SUCCEEDED, job
    assert job.result is not None
    return str(job.result["weights_sha256"])


def pausing(room: AttemptRoom) -> Disturb:
    """Ask for a pause, and wait until the beat has brought it."""

    def disturb(attempt: ObservedAttempt) -> None:
        room.rooms.jobs.request(room.rooms.tenant, attempt.lease_at_work.job_id, "pause")
        until(lambda: attempt.beat.requested == "pause", "the pause")

    return disturb


def test_paused_ten_times_in_mid_epoch_and_then_killed_no_epoch_is_skipped_or_done_twice(
    store: Store, redis_url: str, tmp_path: Path
) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.05)
    spec = {**DIGITS, "epochs": EPOCHS, "early_stopping": {"patience": EPOCHS}}
    room.submit(**spec)
    undisturbed = room.run()
    job = room.submit(**spec)
    within = [step for step in range(EPOCHS * STEPS_PER_EPOCH) if step % STEPS_PER_EPOCH]
    *pauses, killed = sorted(random.Random(5325).sample(within, 11))
    for step in pauses:
        paused = room.run({step: pausing(room)})
        assert paused.status is JobStatus.PAUSED
        assert paused.checkpoint is not None
        assert paused.checkpoint.step == step
        room.rooms.jobs.resume(room.rooms.tenant, job.id)
    attempt_and_die(redis_url, tmp_path, "step", killed, checkpoint_s=0.05)
    newest = take_over(room).checkpoint
    assert newest is not None
    assert pauses[-1] <= newest.step <= killed
    ended = room.run()
    assert (ended.id, ended.attempt) == (job.id, 12)
    assert weights(ended) == weights(undisturbed)
    assert ended.result is not None
    assert ended.result["steps"] == EPOCHS * STEPS_PER_EPOCH
    rows = room.rooms.jobs.metrics(room.rooms.tenant, job.id, limit=500).items
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
