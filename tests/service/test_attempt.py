"""One attempt at a job, from its claim to its end, whatever disturbs it and wherever."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service.builtin import builtin_id
from service.errors import LeaseLost
from service.jobs import Job, JobStatus
from service.leftovers import Leftovers
from service.redis_server import RedisServer
from service.store import Store, key
from tests.service.attempt_room import STEPS, AttemptRoom, Disturb, ObservedAttempt, ended
from tests.service.families import until
from workers.transport import WorkersLost

PLACES: list[str | int] = ["begun", "prepared", "connected", 1, 6, 8]
FLAGGED = {"cancel": "cancelled", "pause": "paused", "drain": "queued"}


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """What the processes' own log got."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def room(store: Store, tmp_path: Path) -> AttemptRoom:
    """Checkpoints are written where they are asked for, alone."""
    return AttemptRoom(store, tmp_path)


def ask(room: AttemptRoom, verb: Any) -> Disturb:
    """Ask something of the job, and wait until its beat has brought it."""

    def disturb(attempt: ObservedAttempt) -> None:
        if verb == "drain":
            attempt.requests.drain("drained")
        else:
            room.rooms.jobs.request(room.rooms.tenant, attempt.lease_at_work.job_id, verb)
            until(lambda: attempt.beat.requested == verb, "the flag")

    return disturb


def weights(job: Job) -> str:
    assert job.status is JobStatus.SUCCEEDED, job
    assert job.result is not None
    return str(job.result["weights_sha256"])


def undisturbed(room: AttemptRoom, **fields: Any) -> str:
    room.submit(**fields)
    return weights(room.run())


def test_it_trains_to_a_model_and_leaves_no_checkpoint(room: AttemptRoom) -> None:
    room.submit()
    job = room.run()
    assert job.result is not None
    model = room.rooms.models.get(room.rooms.tenant, job.result["model_id"])
    assert model["weights_sha256"] == weights(job)
    assert room.artifacts.exists(model["path"])
    assert (job.result["steps"], job.result["epochs"], job.result["stopped_by"]) == (STEPS, 4, "epochs")
    assert job.progress["fraction"] == 1.0
    assert room.epochs(job) == [1, 2, 3, 4]
    assert room.files("checkpoints") == []
    assert room.rooms.queue.running() == []
    assert undisturbed(room) == weights(job)
    assert undisturbed(room, seed=1) != weights(job)


def test_a_checkpoint_after_each_step_changes_no_bit_and_leaves_no_file(store: Store, tmp_path: Path) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0)
    seen: set[int] = set()

    def look(attempt: ObservedAttempt) -> None:
        until(lambda: len(room.files("checkpoints")) > 0, "a checkpoint")
        seen.add(len(room.files("checkpoints")))

    room.submit()
    job = room.run(dict.fromkeys(range(2, STEPS + 1), look))
    assert max(seen) <= 4  # the recorded one, that which is being recorded, the newest, and that which is written
    assert room.files("checkpoints") == []
    room.settings = room.settings.model_copy(update={"checkpoint_s": 3600.0})
    assert undisturbed(room) == weights(job)


@pytest.mark.parametrize("verb", FLAGGED)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_asked_is_obeyed_at_any_place_and_costs_no_bit(room: AttemptRoom, place: str | int, verb: str) -> None:
    room.submit()
    attempt = room.attempt({place: ask(room, verb)})
    attempt.run()
    assert attempt.passed[-1] == place or place == "begun"
    job = room.rooms.job(attempt.lease_at_work.job_id)
    assert (job.status, job.requested) == (FLAGGED[verb], None)
    kept = verb != "cancel" and isinstance(place, int)
    assert (job.checkpoint.step if job.checkpoint else None) == (place if kept else None)
    assert len(room.files("checkpoints")) == kept
    if verb == "pause":
        room.rooms.jobs.resume(room.rooms.tenant, job.id)
    elif verb == "cancel":
        room.rooms.jobs.retry(room.rooms.tenant, job.id)
    again = room.run()
    assert again.attempt == 2
    assert (f"Going on from step {place}." in room.logged(again)) == kept
    assert room.epochs(again) == [1, 2, 3, 4]
    assert weights(again) == undisturbed(room)
    assert room.files("checkpoints") == []


def test_a_flag_that_stands_when_the_data_are_read_leaves_nothing_of_them(room: AttemptRoom) -> None:
    before = room.files("datasets")
    room.submit()
    assert room.run({"prepared": ask(room, "cancel")}).status is JobStatus.CANCELLED
    assert room.files("datasets") == before


@pytest.mark.parametrize("loss", ["gone", "torn", "other kernels"])
def test_a_checkpoint_that_cannot_be_continued_begins_again(room: AttemptRoom, loss: str) -> None:
    room.submit()
    paused = room.run({6: ask(room, "pause")})
    assert paused.checkpoint is not None
    file = room.artifacts.local_path(paused.checkpoint.path)
    assert file is not None
    if loss == "gone":
        file.unlink()
    elif loss == "torn":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        room.fingerprint = {"numpy": "another"}
    room.rooms.jobs.resume(room.rooms.tenant, paused.id)
    attempt = room.attempt()
    attempt.run()
    job = room.rooms.job(paused.id)
    assert attempt.passed.count(1) == 1
    assert "training begins again" in room.logged(job)
    assert room.epochs(job) == [1, 2, 3, 4]
    assert room.files("checkpoints") == []
    assert job.result is not None
    assert job.result["fingerprint"] == room.fingerprint
    assert weights(job) == undisturbed(room)


def test_an_older_checkpoint_is_gone_on_from_where_the_newest_is_torn(store: Store, tmp_path: Path) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0, keep_checkpoint_every=2)

    def recorded(attempt: ObservedAttempt) -> None:
        """The checkpoint of each step is on record before the next step."""
        attempt.checkpoints.flush()
        attempt.beat.flush()

    room.submit()
    paused = room.run({**dict.fromkeys(range(2, 9), recorded), 9: ask(room, "pause")})
    assert paused.checkpoint is not None
    file = room.artifacts.local_path(paused.checkpoint.path)
    assert file is not None
    file.write_bytes(file.read_bytes()[:-1])
    room.rooms.jobs.resume(room.rooms.tenant, paused.id)
    attempt = room.attempt()
    attempt.run()
    job = room.rooms.job(paused.id)
    (begun,) = re.findall(r"Going on from step (\d+)", room.logged(job))
    assert 5 <= int(begun) < paused.checkpoint.step
    assert attempt.passed.index(int(begun) + 1) > 0
    assert room.epochs(job) == [1, 2, 3, 4]
    room.settings = room.settings.model_copy(update={"checkpoint_s": 3600.0})
    assert weights(job) == undisturbed(room)
    Leftovers(store, room.artifacts, old_s=0.0).sweep()
    assert room.files("checkpoints") == []


def test_without_room_for_checkpoints_it_goes_on(store: Store, tmp_path: Path) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0)
    folder = room.artifacts.local_path("checkpoints")
    assert folder is not None
    folder.write_text("a file where the folder should be")
    room.submit()
    paused = room.run({6: ask(room, "pause")})
    assert (paused.status, paused.checkpoint) == (JobStatus.PAUSED, None)
    assert room.logged(paused).count("No checkpoint at step") == 1
    room.rooms.jobs.resume(room.rooms.tenant, paused.id)
    job = room.run()
    assert room.epochs(job) == [1, 2, 3, 4]
    assert weights(job) == undisturbed(room)


def test_near_a_full_disk_checkpoints_are_skipped_and_said_to_be_once_and_the_model_is_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0, min_free=100)
    free = {"bytes": 99}
    monkeypatch.setattr("service.disk_room.free_bytes", lambda folder: free["bytes"])
    room.submit(epochs=8)

    def written(attempt: ObservedAttempt) -> None:
        attempt.checkpoints.flush()

    def fill(size_bytes: int) -> Disturb:
        def disturb(attempt: ObservedAttempt) -> None:
            attempt.checkpoints.flush()
            free["bytes"] = size_bytes

        return disturb

    job = room.run({3: written, 4: written, 5: fill(100), 6: written, 7: written, 8: fill(99)})
    assert job.status is JobStatus.SUCCEEDED
    logged = room.logged(job).splitlines()
    said = "nor later while this lasts: the artifact store has 99 bytes free; needed are 100 bytes (DELTAQ_MIN_FREE)"
    assert sum(said in line for line in logged) == 2
    assert [line for line in logged if "again" in line] == ["Checkpoints are written again, from step 5."]
    assert room.files("checkpoints") == []
    assert len(room.files("models")) == 1


@pytest.mark.parametrize("place", PLACES)
def test_a_lost_lease_stops_it_within_a_step_and_it_writes_nothing_more(
    store: Store, tmp_path: Path, place: str | int
) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0)
    room.submit()
    seen: dict[str, Any] = {}

    def state(job_id: str) -> dict[str, Any]:
        job = room.rooms.job(job_id)
        return {"job": job, "event": room.rooms.events.read(job_id).last_id, "epochs": room.epochs(job)}

    def take_away(attempt: ObservedAttempt) -> None:
        room.take_away(attempt.lease_at_work)
        seen.update(state(attempt.lease_at_work.job_id))
        until(lambda: ended(attempt.beat), "the end of its beat")

    attempt = room.attempt({place: take_away})
    with pytest.raises(LeaseLost):
        attempt.run()
    steps = [passed for passed in attempt.passed if isinstance(passed, int)]
    assert steps == list(range(1, place + 1)) if isinstance(place, int) else steps == []
    assert state(attempt.lease_at_work.job_id) == seen
    assert room.files("models") == []


def test_what_diverges_fails_with_what_to_try(room: AttemptRoom) -> None:
    room.submit(optimizer={"learning_rate": 1e9}, dataset="diabetes", early_stopping=None)
    job = room.run()
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error["title"] == "Diverged"
    assert "optimizer.learning_rate" in job.error["hint"]


@pytest.mark.parametrize("what", ["record", "file"])
def test_a_data_set_that_is_gone_is_said(room: AttemptRoom, what: str) -> None:
    job = room.submit()
    if what == "record":
        room.rooms.store.command("DEL", key("dataset", builtin_id("iris")))
    else:
        room.artifacts.delete_folder(f"datasets/{builtin_id('iris')}")
    job = room.run()
    assert (job.status, job.error and job.error["title"]) == (JobStatus.FAILED, "Data set gone")
    assert job.error is not None
    assert "again" in job.error["hint"]


def test_without_workers_it_is_tried_again_later(room: AttemptRoom) -> None:
    def lose(attempt: ObservedAttempt) -> None:
        raise WorkersLost("none is left")

    room.submit()
    for place in ("connected", 6):
        job = room.run({place: lose})
        assert (job.status, job.retried) == (JobStatus.QUEUED, job.attempt)
        assert job.waits_until is not None
        assert "Worker lost: none is left" in room.logged(job)
        room.rooms.bring_due()
    assert weights(room.run()) == undisturbed(room)


class TestTimeLimit:
    def test_it_counts_all_attempts_and_keeps_what_was_reached(self, room: AttemptRoom) -> None:
        def let_time_pass(attempt: ObservedAttempt) -> None:
            attempt.beat._began -= 600

        room.submit(time_limit_s=1000, retries=5)
        assert room.run({6: ask(room, "drain"), 3: let_time_pass}).status is JobStatus.QUEUED
        job = room.run({8: let_time_pass})
        assert job.status is JobStatus.FAILED
        assert job.error is not None
        assert job.error["title"] == "TimeLimit"
        assert "time_limit_s is 1000" in job.error["detail"]
        assert "all attempts added" in job.error["detail"]
        assert job.checkpoint is not None
        assert job.checkpoint.step == 8
        assert len(room.files("checkpoints")) == 1
        room.rooms.jobs.retry(room.rooms.tenant, job.id)
        again = room.run()
        assert "Going on from step 8." in room.logged(again)
        assert weights(again) == undisturbed(room)

    def test_it_holds_while_the_data_are_read(self, room: AttemptRoom) -> None:
        room.submit(time_limit_s=0.05)
        job = room.run({"begun": lambda attempt: time.sleep(0.1)})
        assert (job.error or {}).get("title") == "TimeLimit"
        assert job.checkpoint is None


@pytest.mark.parametrize(
    ("place", "limit", "phase"), [("begun", "load_limit_s", "loading"), (6, "step_limit_s", "step")]
)
def test_the_beat_ends_where_a_phase_takes_longer_than_it_may(
    store: Store, tmp_path: Path, place: str | int, limit: str, phase: str
) -> None:
    room = AttemptRoom(store, tmp_path, **{limit: 0.3})

    def hang(attempt: ObservedAttempt) -> None:
        def beats() -> int:
            return room.rooms.queue.running()[0].beat

        until(
            lambda: f"The {phase} has taken longer than 0.3 s" in room.logged(attempt.work.job), "the end of the beat"
        )
        before = beats()
        time.sleep(0.1)
        assert beats() == before

    room.submit()
    room.run({place: hang})


def wreck_the_record(attempt: ObservedAttempt) -> None:
    """Make what the beat writes next fail in a way that nobody foresaw."""
    rows = key("job", attempt.lease_at_work.job_id, "metrics")
    attempt.room.rooms.store.command("DEL", rows)
    attempt.room.rooms.store.command("SET", rows, "no list")


def lose_the_rows(attempt: ObservedAttempt) -> None:
    """Make what the beat writes next be refused: an epoch is left out."""
    attempt.room.rooms.store.command("DEL", key("job", attempt.lease_at_work.job_id, "metrics"))


def raise_a_fault(attempt: ObservedAttempt) -> None:
    raise ZeroDivisionError("a fault")


def fail_twice(attempt: ObservedAttempt) -> None:
    wreck_the_record(attempt)
    raise_a_fault(attempt)


def wait_for_rows(room: AttemptRoom) -> Disturb:
    """Wait until the first epoch is on record."""
    return lambda attempt: until(lambda: room.epochs(attempt.work.job), "the first row")


FAULTS: dict[Disturb, tuple[str, str]] = {
    wreck_the_record: ("Training failed", "ResponseError: WRONGTYPE"),
    lose_the_rows: ("Not possible in this state", "epoch 1 is the next"),
    raise_a_fault: ("Training failed", "ZeroDivisionError: a fault"),
    fail_twice: ("Training failed", "ZeroDivisionError: a fault"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_fails_the_job_by_its_name_and_not_by_another_s(
    room: AttemptRoom, fault: Disturb, logged: list[EventDict]
) -> None:
    room.submit()
    job = room.run({5: wait_for_rows(room), 7: fault})
    title, detail = FAULTS[fault]
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error["title"] == title
    assert detail in job.error["detail"]
    assert {line["log_level"] for line in logged} == {"error"}
    assert {line["job"] for line in logged} == {job.id}
    assert room.rooms.queue.running() == []


def test_a_fault_of_the_beat_ends_the_training_within_a_step(room: AttemptRoom) -> None:
    def wait_for_the_end(attempt: ObservedAttempt) -> None:
        until(lambda: ended(attempt.beat), "the end of its beat")
        with pytest.raises(ResponseError):
            attempt.beat.check()

    room.submit()
    attempt = room.attempt({3: wreck_the_record, 5: wait_for_the_end})
    attempt.run()
    assert attempt.passed[-1] == 5
    assert room.rooms.status(attempt.lease_at_work.job_id) is JobStatus.FAILED


class TestRedisAway:
    """Redis here is one of its own, to be killed."""

    @pytest.fixture
    def server(self, tmp_path: Path, runtime_dir: Path) -> Iterator[RedisServer]:
        folder = runtime_dir / "attempt"
        folder.mkdir(exist_ok=True)
        with RedisServer(tmp_path / "redis", folder) as server:
            yield server

    @pytest.fixture
    def store(self, server: RedisServer) -> Iterator[Store]:
        store = Store(server.url)
        yield store
        store.close()

    def test_training_and_its_checkpoints_go_on_meanwhile(
        self, store: Store, server: RedisServer, tmp_path: Path
    ) -> None:
        room = AttemptRoom(store, tmp_path, checkpoint_s=0.0)
        room.submit()
        steps: list[int] = []

        def newest(attempt: ObservedAttempt) -> None:
            attempt.checkpoints.flush()
            numbers = [int(re.findall(r"-(\d+)\.", name)[0]) for name in room.files("checkpoints")]
            assert len(numbers) <= 3
            steps.append(max(numbers))

        job = room.run(
            {
                3: lambda attempt: server.kill(),
                **dict.fromkeys(range(4, 12), newest),
                12: lambda attempt: server.start(),
            }
        )
        assert steps == list(range(3, 11))  # each step's, as the next one sees it
        assert room.epochs(job) == [1, 2, 3, 4]
        assert room.files("checkpoints") == []
        assert weights(job) == undisturbed(room)

    def test_a_pause_waits_until_its_checkpoint_is_on_record(
        self, store: Store, server: RedisServer, tmp_path: Path
    ) -> None:
        room = AttemptRoom(store, tmp_path)
        room.submit()

        def pause_and_kill(attempt: ObservedAttempt) -> None:
            ask(room, "pause")(attempt)
            server.kill()

        attempt = room.attempt({6: pause_and_kill})
        running = threading.Thread(target=attempt.run)
        running.start()
        until(lambda: 6 in attempt.passed and room.files("checkpoints"), "the checkpoint's file")
        assert running.is_alive()
        server.start()
        running.join(20)
        job = room.rooms.job(attempt.lease_at_work.job_id)
        assert job.status is JobStatus.PAUSED
        assert job.checkpoint is not None
        assert job.checkpoint.step == 6
