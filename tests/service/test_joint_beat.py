"""One beat for several jobs: each is renewed under its own lease, and none waits for another."""

from __future__ import annotations

import threading

import pytest

from service.beat import ROWS_AT_ONCE, Beat
from service.errors import LeaseLost
from service.jobs import CheckpointRef, Lease
from service.joint_beat import JointBeat
from tests.service.families import until
from tests.service.rooms import Rooms

INTERVAL_S = 0.01


@pytest.fixture
def leases(rooms: Rooms) -> list[Lease]:
    return [rooms.start() for _ in range(3)]


def made(rooms: Rooms, leases: list[Lease]) -> list[Beat]:
    return [Beat(rooms.queue, lease, INTERVAL_S, lambda: {"step": 1}) for lease in leases]


def beat_counts(rooms: Rooms) -> dict[str, int]:
    return {entry.lease.job_id: entry.beat for entry in rooms.queue.running()}


def epochs(rooms: Rooms, lease: Lease) -> list[int]:
    return [row["epoch"] for row in rooms.jobs.metrics(rooms.tenant, lease.job_id, limit=500).items]


def test_all_are_renewed_and_each_hears_its_own_flag(rooms: Rooms, leases: list[Lease]) -> None:
    beats = made(rooms, leases)
    with JointBeat(rooms.queue, INTERVAL_S) as joint:
        for beat in beats:
            joint.add(beat)
        until(lambda: min(beat_counts(rooms).values()) > 2, "some beats of each")
        rooms.jobs.request(rooms.tenant, leases[1].job_id, "cancel")
        until(lambda: beats[1].requested == "cancel", "the cancellation")
        assert [beats[0].requested, beats[2].requested] == [None, None]
        joint.leave(beats[1])
        seen = beat_counts(rooms)
        until(lambda: beat_counts(rooms)[leases[0].job_id] > seen[leases[0].job_id] + 2, "beats of another")
        assert beat_counts(rooms)[leases[1].job_id] == seen[leases[1].job_id]
    assert "joint-beat" not in {thread.name for thread in threading.enumerate()}


def test_rows_of_each_come_in_their_order_before_its_checkpoint(rooms: Rooms, leases: list[Lease]) -> None:
    beats = made(rooms, leases)
    counts = [0, 3, ROWS_AT_ONCE + 5]
    for beat, count in zip(beats, counts, strict=True):
        for epoch in range(1, count + 1):
            beat.add_row({"epoch": epoch})
        beat.add_checkpoint(CheckpointRef(f"checkpoints/{count}", "0" * 64, count, {}))
    with JointBeat(rooms.queue, INTERVAL_S) as joint:
        for beat in beats:
            joint.add(beat)
        until(lambda: all(rooms.job(lease.job_id).checkpoint for lease in leases), "their checkpoints")
    assert [epochs(rooms, lease) for lease in leases] == [list(range(1, count + 1)) for count in counts]


def test_a_lost_lease_is_that_ones_alone(rooms: Rooms, leases: list[Lease]) -> None:
    beats = made(rooms, leases)
    rooms.queue.release(leases[0], "taken back")
    beats[0].add_line("info", "late words")
    with JointBeat(rooms.queue, INTERVAL_S) as joint:
        for beat in beats:
            joint.add(beat)
        until(lambda: beats[0].lost, "the loss")
        until(lambda: min(beat_counts(rooms).values()) > 2, "some beats of the others")
        with pytest.raises(LeaseLost):
            beats[0].check()
        beats[1].check()


def test_a_phase_that_lasts_too_long_ends_the_beat_of_all_and_their_logs_say_so(
    rooms: Rooms, leases: list[Lease]
) -> None:
    beats = made(rooms, leases)
    now = [100.0]
    with JointBeat(rooms.queue, INTERVAL_S, clock=lambda: now[0]) as joint:
        for beat in beats:
            joint.add(beat)
        joint.enter("step", 60)
        until(lambda: min(beat_counts(rooms).values()) > 2, "some beats of each")
        now[0] += 61

        def said(lease: Lease) -> list[str]:
            return [line["message"] for line in rooms.jobs.logs(rooms.tenant, lease.job_id).items]

        until(lambda: all("stuck" in " ".join(said(lease)) for lease in leases), "the words")
        seen = beat_counts(rooms)
    assert beat_counts(rooms) == seen


def test_some_say_their_last_in_whatever_order_they_end_while_all_beat(rooms: Rooms, leases: list[Lease]) -> None:
    beats = made(rooms, leases)
    first, other, last = beats
    with JointBeat(rooms.queue, INTERVAL_S / 100) as joint:
        for beat in beats:
            joint.add(beat)
        for epoch in range(1, 31):
            for beat in (last, first):
                beat.add_row({"epoch": epoch})
            joint.say_last([last, first])
            assert epochs(rooms, leases[2])[-1] == epochs(rooms, leases[0])[-1] == epoch
        assert not other.lost
    assert epochs(rooms, leases[1]) == []
