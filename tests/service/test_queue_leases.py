"""What the holder of a lease may write, once; and that nobody else writes anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest

from service.errors import Diverged, IllegalTransition, LeaseLost, ModelNotFound
from service.ids import new_id
from service.job_records import Verb
from service.jobs import CheckpointRef, JobStatus, Lease
from tests.service.rooms import Rooms

CHECKPOINT = CheckpointRef("checkpoints/one", "a" * 64, 10, {"numpy": "2.4.6"})

HOLDERS_VERBS: dict[str, Callable[[Any, Lease], object]] = {
    "beat": lambda rooms, lease: rooms.queue.beat(lease, {"step": 9}),
    "record_epoch": lambda rooms, lease: rooms.queue.record_epoch(lease, {"epoch": 1}),
    "record_checkpoint": lambda rooms, lease: rooms.queue.record_checkpoint(lease, CHECKPOINT),
    "begin_again": lambda rooms, lease: rooms.queue.begin_again(lease, CHECKPOINT, "another processor"),
    "log": lambda rooms, lease: rooms.queue.log(lease, "info", "late words"),
    "succeed": lambda rooms, lease: rooms.succeed(lease),
    "fail": lambda rooms, lease: rooms.queue.fail(lease, Diverged("no")),
    "prune": lambda rooms, lease: rooms.queue.prune(lease, {"stopped_by": "pruner", "pruned_at": 1}),
    "release": lambda rooms, lease: rooms.queue.release(lease, "drained"),
}
ENDS = ("succeed", "fail", "prune", "release")


def state(rooms: Rooms) -> dict[str, Any]:
    """What any key of the database holds, as text."""
    read = {"string": ("GET",), "hash": ("HGETALL",), "set": ("SMEMBERS",), "list": ("LRANGE", 0, -1)}
    read |= {"zset": ("ZRANGE", 0, -1, "WITHSCORES"), "stream": ("XRANGE", "-", "+")}
    names = sorted(rooms.store.command("KEYS", "*"))
    kinds = {name: read[rooms.store.command("TYPE", name)] for name in names}
    return {name: repr(rooms.store.command(words[0], name, *words[1:])) for name, words in kinds.items()}


def stale(rooms: Rooms) -> Lease:
    """The lease of a runner whose job another one runs now."""
    lease = rooms.start()
    assert rooms.queue.expire(lease, 1, beat=0, reason="no sign of life") is JobStatus.QUEUED
    assert rooms.claim().job.id == lease.job_id
    return lease


@pytest.mark.parametrize("verb", HOLDERS_VERBS)
def test_a_stale_token_writes_nothing(rooms: Rooms, verb: str) -> None:
    lease = stale(rooms)
    present = rooms.queue.running()[0].lease.token
    random_bits = present.partition("-")[2]
    forged = [lease.token, "", f"{present}0", present[:-1], f"99-{random_bits}", f"{lease.generation + 1}-{'0' * 32}"]
    before = state(rooms)
    for token in forged:
        with pytest.raises(LeaseLost, match=lease.job_id):
            HOLDERS_VERBS[verb](rooms, replace(lease, token=token))
    assert state(rooms) == before


@pytest.mark.parametrize("verb", HOLDERS_VERBS)
def test_no_lease_is_left_after_the_end(rooms: Rooms, verb: str) -> None:
    lease = rooms.bring_to(JobStatus.CANCELLED)
    rooms.jobs.retry(rooms.tenant, lease.job_id, "start")
    before = state(rooms)
    if verb == "release":  # it was the release that ended this lease: its answer again
        assert rooms.queue.release(lease, "cancelled") is JobStatus.CANCELLED
    else:
        with pytest.raises(LeaseLost):
            HOLDERS_VERBS[verb](rooms, lease)
    assert state(rooms) == before


@pytest.mark.parametrize("verb", ENDS)
def test_the_same_end_again_answers_success_and_does_nothing(rooms: Rooms, verb: str) -> None:
    lease = rooms.start()
    HOLDERS_VERBS[verb](rooms, lease)
    before = state(rooms)
    HOLDERS_VERBS[verb](rooms, lease)
    assert state(rooms) == before
    for other in set(ENDS) - {verb}:  # another end is too late
        with pytest.raises(LeaseLost):
            HOLDERS_VERBS[other](rooms, lease)
    assert state(rooms) == before


def test_the_beat_renews_writes_progress_and_brings_the_flag_back(rooms: Rooms) -> None:
    lease = rooms.start()
    assert rooms.queue.beat(lease) is None
    assert rooms.queue.beat(lease, {"epoch": 1, "eta_s": float("inf")}) is None
    assert rooms.queue.running()[0].beat == 2
    assert rooms.job(lease.job_id).progress == {"epoch": 1, "eta_s": None}
    rooms.jobs.request(rooms.tenant, lease.job_id, "pause")
    assert rooms.queue.beat(lease) == "pause"
    rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
    assert rooms.queue.beat(lease) == "cancel"
    assert rooms.queue.running()[0].requested == "cancel"
    assert [event.type for event in rooms.events.read(lease.job_id).events].count("progress") == 1


def test_an_epoch_is_recorded_once_and_none_is_left_out(rooms: Rooms) -> None:
    lease = rooms.start()
    assert rooms.queue.record_epoch(lease, {"epoch": 1, "train_loss": 0.5})
    assert not rooms.queue.record_epoch(lease, {"epoch": 1, "train_loss": 9.0})
    with pytest.raises(IllegalTransition, match="epoch 3 came while epoch 2"):
        rooms.queue.record_epoch(lease, {"epoch": 3})
    rooms.queue.release(lease, "its worker died")
    again = rooms.claim().lease
    assert not rooms.queue.record_epoch(again, {"epoch": 1, "train_loss": 9.0})
    assert rooms.queue.record_epoch(again, {"epoch": 2, "train_loss": float("nan")})
    rows = [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": None}]
    assert rooms.jobs.metrics(rooms.tenant, lease.job_id).items == rows
    assert rooms.job(lease.job_id).metrics == rows[1]
    shown = [event.data for event in rooms.events.read(lease.job_id).events if event.type == "metrics"]
    assert [orjson.loads(data) for data in shown] == rows


def test_a_checkpoint_recorded_again_gives_up_no_living_file(rooms: Rooms) -> None:
    lease = rooms.start()
    second = replace(CHECKPOINT, path="checkpoints/two", step=20)
    assert rooms.queue.record_checkpoint(lease, CHECKPOINT) is None
    assert rooms.queue.record_checkpoint(lease, CHECKPOINT) is None
    assert rooms.queue.record_checkpoint(lease, second) == CHECKPOINT
    assert rooms.queue.record_checkpoint(lease, second) == CHECKPOINT
    assert rooms.job(lease.job_id).checkpoint == second
    rooms.queue.release(lease, "drained")
    assert rooms.claim().job.checkpoint == second


def test_beginning_again_forgets_what_was_reached_and_says_why(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.queue.record_epoch(lease, {"epoch": 1})
    rooms.queue.record_checkpoint(lease, CHECKPOINT)
    rooms.queue.beat(lease, {"step": 1})
    for _ in range(2):
        assert rooms.queue.begin_again(lease, CHECKPOINT, "no node has its fingerprint") is None
    job = rooms.job(lease.job_id)
    assert (job.checkpoint, job.metrics, job.progress) == (None, None, {})
    assert rooms.queue.record_epoch(lease, {"epoch": 1})
    line = rooms.jobs.logs(rooms.tenant, lease.job_id).items[-1]
    assert (line["level"], line["message"]) == ("warning", "no node has its fingerprint")


def test_each_nth_checkpoint_is_kept_to_fall_back_on(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.queue.record_epoch(lease, {"epoch": 1})
    made = [replace(CHECKPOINT, step=step) for step in range(1, 8)]
    off = [rooms.queue.record_checkpoint(lease, one, keep_every=3) for one in made]
    assert off == [None, made[0], made[1], None, made[3], made[4], None]
    assert rooms.queue.record_checkpoint(lease, made[6], keep_every=3) is None  # the same again
    for lost, older in ((made[6], made[5]), (made[6], made[5]), (made[5], made[2])):
        assert rooms.queue.begin_again(lease, lost, "torn") == older
        assert rooms.job(lease.job_id).checkpoint == older
    assert len(rooms.jobs.metrics(rooms.tenant, lease.job_id).items) == 1
    assert rooms.queue.begin_again(lease, made[2], "torn") is None
    assert rooms.jobs.metrics(rooms.tenant, lease.job_id).items == []


def test_success_makes_the_model_in_the_same_step(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")  # not yet obeyed: the finish comes first
    model_id = rooms.succeed(lease)
    job = rooms.job(lease.job_id)
    assert (job.status, job.requested, job.result) == (JobStatus.SUCCEEDED, None, {"model_id": model_id})
    assert rooms.models.get(rooms.tenant, model_id)["job_id"] == lease.job_id
    with pytest.raises(ModelNotFound):
        rooms.models.get("bob", model_id)
    with pytest.raises(ModelNotFound):
        rooms.models.delete("bob", model_id)
    assert rooms.models.delete(rooms.tenant, model_id)["id"] == model_id
    assert rooms.models.list(rooms.tenant).items == []


def test_failure_records_what_to_try(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.queue.fail(lease, Diverged("loss is \ud800", hint="a smaller learning rate"))
    error = {"title": "Diverged", "detail": "loss is ?", "hint": "a smaller learning rate"}
    assert rooms.job(lease.job_id).error == error
    rooms.jobs.retry(rooms.tenant, lease.job_id, "start")
    assert rooms.job(lease.job_id).error is None


def test_the_leader_takes_no_lease_that_was_renewed_or_ended_meanwhile(rooms: Rooms) -> None:
    lease = rooms.start()
    rooms.queue.beat(lease)
    assert rooms.queue.expire(lease, 1, beat=0, reason="no sign of life") is None  # it has beaten since
    rooms.succeed(lease)
    before = rooms.job(lease.job_id)
    assert rooms.queue.expire(lease, 1, beat=1, reason="no sign of life") is None
    assert rooms.job(lease.job_id) == before


@pytest.mark.parametrize(("verb", "target"), [("cancel", "cancelled"), ("pause", "paused"), (None, "queued")])
def test_a_flag_is_obeyed_when_the_runner_is_gone(rooms: Rooms, verb: Any, target: str) -> None:
    lease = rooms.start()
    if verb:
        rooms.jobs.request(rooms.tenant, lease.job_id, verb)
    assert rooms.queue.expire(lease, 1, beat=0, reason="no sign of life") == target
    assert rooms.queue.expire(lease, 1, beat=0, reason="no sign of life") == target
    job = rooms.job(lease.job_id)
    assert (job.status, job.requested) == (target, None)
    assert rooms.queue.running() == []


def test_of_two_ends_at_once_one_holds_and_the_record_is_its_own(rooms: Rooms) -> None:
    for _ in range(25):
        lease = rooms.start()
        rooms.jobs.request(rooms.tenant, lease.job_id, "cancel")
        ends = [rooms.succeed, lambda held: rooms.queue.expire(held, 1, beat=0, reason="no sign of life")]
        together = threading.Barrier(len(ends))

        def run(end: Callable[[Lease], object], held: Lease = lease, gate: threading.Barrier = together) -> object:
            gate.wait(5)
            try:
                return end(held)
            except LeaseLost:
                return None

        with ThreadPoolExecutor(len(ends)) as threads:
            model_id, expired = threads.map(run, ends)
        job = rooms.job(lease.job_id)
        assert job.status == (JobStatus.SUCCEEDED if model_id else JobStatus.CANCELLED)
        assert (model_id is None) == (expired is not None)
        assert rooms.ends_said(lease.job_id) == [job.status]
        assert bool(rooms.models.list(rooms.tenant).items) == bool(model_id)
        for model in rooms.models.list(rooms.tenant).items:
            rooms.models.delete(rooms.tenant, model["id"])


def test_an_id_of_a_job_that_never_was_holds_nothing(rooms: Rooms) -> None:
    with pytest.raises(LeaseLost):
        rooms.queue.beat(Lease(new_id("job"), "1-0"))


def test_a_warning_stands_in_the_job_once_and_other_lines_do_not(rooms: Rooms) -> None:
    lease = rooms.start()
    before = rooms.job(lease.job_id).warnings
    rooms.queue.log(lease, "info", "Going on.")
    for message in ('The deltas vanish: "1e-9".', "Rate 50 % too high.", 'The deltas vanish: "1e-9".'):
        rooms.queue.log(lease, "warning", message)
    found = rooms.job(lease.job_id).warnings
    assert found == [*before, 'The deltas vanish: "1e-9".', "Rate 50 % too high."]
    for number in range(1000):
        rooms.queue.log(lease, "warning", f"{number} {'x' * 200}")
    assert len(rooms.job(lease.job_id).warnings) < 100


@pytest.mark.parametrize(
    ("asked", "status"), [(None, JobStatus.PAUSED), ("pause", JobStatus.PAUSED), ("cancel", JobStatus.CANCELLED)]
)
def test_a_release_may_pause_on_the_jobs_own_account(rooms: Rooms, asked: Verb | None, status: JobStatus) -> None:
    lease = rooms.start()
    if asked:
        rooms.jobs.request(rooms.tenant, lease.job_id, asked)
    assert rooms.queue.release(lease, "a rule says so", pause=True) is status
    assert rooms.job(lease.job_id).status is status
