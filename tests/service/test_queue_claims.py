"""Who gets which job: priority, age, width, epochs, and claims whose answer was lost."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.acceptance import Acceptance
from service.errors import LeaseLost
from service.gang_size import GangSize
from service.jobs import JobStatus
from service.lease_watch import LeaseWatch
from service.queue import WaitingJob
from service.spec import JobSpec
from tests.service.rooms import Rooms


def drain(rooms: Rooms, free_slots: int = 8) -> list[str]:
    claimed = []
    while (one := rooms.try_claim(free_slots)) is not None:
        claimed.append(one.job.id)
    return claimed


def test_priority_goes_before_age(rooms: Rooms) -> None:
    priorities = [0, 5, -1000, 1000, 5, 0, 1000, -1000]
    jobs = [rooms.accept(priority=priority) for priority in priorities]
    expected = [jobs[place].id for place in (3, 6, 1, 4, 0, 5, 2, 7)]
    assert [rooms.job(job_id).queue_position for job_id in expected] == list(range(8))
    assert drain(rooms) == expected


def test_a_wide_job_lets_a_narrow_one_pass_but_keeps_its_place(rooms: Rooms) -> None:
    wide = rooms.accept(workers={"min": 4}, shards=4)
    narrow = rooms.accept()
    assert [rooms.job(job.id).queue_position for job in (wide, narrow)] == [0, 1]
    first = rooms.claim(free_slots=3)
    assert first.job.id == narrow.id
    assert rooms.try_claim(free_slots=3) is None
    assert rooms.claim(free_slots=4).job.id == wide.id
    assert rooms.try_claim(free_slots=0) is None


def test_age_and_priority_count_across_widths(rooms: Rooms) -> None:
    widths = [2, 1, 3, 1]
    jobs = [rooms.accept(workers={"min": width}, shards=4).id for width in widths]
    urgent = rooms.accept(workers={"min": 3}, shards=4, priority=1).id
    assert [rooms.job(job_id).queue_position for job_id in [urgent, *jobs]] == list(range(5))
    assert drain(rooms) == [urgent, *jobs]


def test_a_job_says_what_it_can_use_while_it_waits_when_it_is_claimed_and_while_it_runs(rooms: Rooms) -> None:
    wide = rooms.accept(workers={"min": 2, "max": 4}, shards=8)
    urgent = rooms.accept(workers={"min": 3}, shards=4, priority=1)
    small = rooms.accept()
    waiting = [WaitingJob(urgent.id, 1, 3, 4), WaitingJob(wide.id, 0, 2, 4), WaitingJob(small.id, 0, 1, 1)]
    assert rooms.queue.waiting(8) == waiting
    assert rooms.queue.waiting(8, 2) == waiting[:2]
    assert rooms.claim().size == GangSize(3, 4)
    assert [(entry.lease.job_id, entry.size) for entry in rooms.queue.running()] == [(urgent.id, GangSize(3, 4))]


def test_what_a_job_is_worth_is_kept_with_it(rooms: Rooms) -> None:
    spec, worth = JobSpec(dataset=rooms.dataset.id), GangSize(1, 3, 0.1 + 0.2, 123456)
    job, _ = rooms.jobs.accept(Acceptance(rooms.tenant, spec, rooms.dataset, size=worth))
    assert rooms.queue.waiting(8) == [WaitingJob(job.id, 0, 1, 3)]
    assert rooms.claim().size == worth
    assert [entry.size for entry in rooms.queue.running()] == [worth]


def test_a_released_job_goes_back_to_its_own_place(rooms: Rooms) -> None:
    first, second = rooms.accept(), rooms.accept()
    lease = rooms.claim().lease
    assert rooms.queue.release(lease, "preempted") is JobStatus.QUEUED
    assert [rooms.job(job.id).queue_position for job in (first, second)] == [0, 1]
    assert rooms.queue.depth() == 2


def test_attempt_counts_claims_and_started_at_stays(rooms: Rooms) -> None:
    lease = rooms.start()
    started_at = rooms.job(lease.job_id).started_at
    rooms.queue.release(lease, "drained")
    assert rooms.claim().job.attempt == 2
    assert rooms.job(lease.job_id).started_at == started_at


def test_the_same_claim_again_gives_the_same_job_and_lease(rooms: Rooms) -> None:
    rooms.accept(), rooms.accept()
    claimed = rooms.queue.claim(1, 4, "lost answer")
    assert claimed is not None
    assert rooms.queue.claim(1, 4, "lost answer") == claimed
    assert [running.lease for running in rooms.queue.running()] == [claimed.lease]
    rooms.queue.release(claimed.lease, "drained")
    assert rooms.queue.claim(1, 4, "lost answer") is None  # that claim is over
    assert rooms.status(claimed.job.id) is JobStatus.QUEUED


def test_claimers_side_by_side_never_get_the_same_job(rooms: Rooms) -> None:
    jobs = {rooms.accept().id for _ in range(40)}
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda number: rooms.queue.claim(1, 1, f"claimer {number}"), range(60)))
    given = [one for one in claimed if one is not None]
    assert sorted(one.job.id for one in given) == sorted(jobs)
    assert len({one.lease.token for one in given}) == len({one.lease.generation for one in given}) == 40


def test_a_leader_of_an_old_epoch_claims_expires_and_shows_nothing(rooms: Rooms) -> None:
    now = [0.0]
    old, new = type(rooms.queue)(rooms.store), type(rooms.queue)(rooms.store, clock=lambda: now[0])
    assert old.lead("old", 2.0) == 1
    lease = rooms.start()
    rooms.accept()
    for now[0] in (0.0, 1.0, 2.0):  # the old one stands still
        epoch = new.lead("new", 2.0)
    assert epoch == 2
    assert old.lead("old", 2.0) is None
    with pytest.raises(LeaseLost, match="epoch 1 is over: the present one is 2"):
        old.claim(1, 4, "late")
    with pytest.raises(LeaseLost, match="epoch 1 is over"):
        old.expire(lease, 1, beat=None, reason="late")
    with pytest.raises(LeaseLost, match="epoch 1 is over"):
        old.publish_cluster(1, {"nodes": []})
    assert rooms.queue.beat(lease) is None  # its runner notices nothing of it
    assert new.claim(2, 4, "in time") is not None


def test_a_leader_that_goes_on_is_not_replaced(rooms: Rooms) -> None:
    now = [0.0]
    leader, standby = type(rooms.queue)(rooms.store), type(rooms.queue)(rooms.store, clock=lambda: now[0])
    for second in range(10):
        now[0] = float(second)
        assert leader.lead("leader", 2.0) == 1
        assert standby.lead("standby", 2.0) is None
    leader.resign("standby")  # not its own to give up
    assert standby.lead("standby", 2.0) is None
    leader.resign("leader")
    assert standby.lead("standby", 2.0) == 2


def test_a_lead_is_taken_only_as_it_was_watched(rooms: Rooms) -> None:
    rooms.queue.lead("leader", 2.0)
    assert rooms.store.run("lead", token="standby") == [0, "1", "0"]
    rooms.queue.lead("leader", 2.0)  # a beat, after the standby has made up its mind
    assert rooms.store.run("lead", token="standby", take_epoch="1", take_beat="0") == [0, "1", "1"]
    assert rooms.queue.lead("leader", 2.0) == 1


def test_a_counter_is_stale_only_when_it_was_watched_all_the_while() -> None:
    now = [0.0]
    watch = LeaseWatch(10.0, gap_s=3.0, clock=lambda: now[0])

    def look(second: float, beat: int) -> bool:
        now[0] = second
        return watch.stale("job", beat)

    assert not any(look(second, 7) for second in (0, 3, 6, 9))
    assert look(10, 7)
    assert not look(11, 8)  # it moved
    assert not any(look(second, 8) for second in (14, 17, 20))
    assert not look(60, 8)  # an outage or a sleeping laptop: what went on meanwhile is not known
    assert not any(look(second, 8) for second in (63, 66, 69))
    assert look(70, 8)
    watch.forget_all_but([])
    assert not look(71, 8)


def test_waiting_for_work_ends_when_there_is_some_and_in_time_when_there_is_none(rooms: Rooms) -> None:
    assert not rooms.queue.wait_for_work(0.05)
    rooms.accept(), rooms.accept()
    assert rooms.queue.wait_for_work(3)
    assert not rooms.queue.wait_for_work(0.05)  # one wake-up for both
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(rooms.queue.wait_for_work, 3.0)
        begun = time.monotonic()
        rooms.queue.release(rooms.claim().lease, "drained")  # slots are free
        assert waiting.result(timeout=3)
        assert time.monotonic() - begun < 2


def test_the_cluster_is_shown_with_its_age_and_the_queue_with_its_depth(rooms: Rooms) -> None:
    assert rooms.queue.cluster() is None
    rooms.queue.publish_cluster(0, {"nodes": [{"cpu": float("nan")}]})
    shown = rooms.queue.cluster()
    assert shown is not None
    assert shown.pop("age_s") < 5
    assert shown == {"nodes": [{"cpu": None}]}
    rooms.accept(), rooms.accept(workers={"min": 3}, shards=3)
    assert rooms.queue.depth() == 2


def test_a_claim_costs_the_same_however_many_wait(rooms: Rooms) -> None:
    def commands() -> int:
        return int(rooms.store.command("INFO", "stats")["total_commands_processed"])

    def cost_of_a_claim() -> int:
        before = commands()
        claimed = rooms.claim()
        rooms.queue.release(claimed.lease, "drained")
        return commands() - before

    rooms.accept(), rooms.accept(), cost_of_a_claim()  # the scripts are loaded
    cost_of_two = cost_of_a_claim()
    for _ in range(200):
        rooms.accept()
    assert cost_of_a_claim() == cost_of_two
