"""Versions: keys of a newer one are refused, of an older one brought up; what was ever recorded can be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from safetensors.numpy import load, save

from service import checkpoints, models, strict_json
from service.checkpoints import read_checkpoint, read_metadata
from service.errors import Misconfigured, NewerFormat, StoreUnavailable
from service.history import History
from service.jobs import CheckpointRef, Job, JobStatus
from service.leftovers import Leftovers
from service.migrations import MIGRATIONS, Migration, check_schema
from service.models import Model
from service.store import Store
from tests.service.attempt_room import STEPS, AttemptRoom
from tests.service.record_fixtures import FIXTURES, IDEMPOTENCY, PAUSED_AT

NEWEST = 1 + len(MIGRATIONS)


def version(store: Store) -> str:
    return str(store.command("GET", "deltaq:schema"))


def test_an_empty_redis_is_of_this_version(store: Store) -> None:
    for _ in range(2):
        check_schema(store)
        assert version(store) == str(NEWEST)


def test_keys_of_a_newer_version_are_refused_by_name_and_left_alone(store: Store) -> None:
    store.command("SET", "deltaq:schema", NEWEST + 1)
    with pytest.raises(Misconfigured, match=f"schema version {NEWEST + 1}, .* reads up to version {NEWEST}"):
        check_schema(store)
    assert version(store) == str(NEWEST + 1)


@pytest.mark.parametrize("found", ["0", "-1", "one", ""])
def test_what_is_no_version_is_refused(store: Store, found: str) -> None:
    store.command("SET", "deltaq:schema", found)
    with pytest.raises(Misconfigured, match=f"schema version '{found}', which is none"):
        check_schema(store)


@pytest.mark.parametrize("module", ["api", "service"])
def test_a_part_that_finds_newer_keys_ends_with_the_exit_code_of_wrong_settings(
    store: Store, redis_url: str, tmp_path: Path, module: str
) -> None:
    store.command("SET", "deltaq:schema", NEWEST + 1)
    settings = {"REDIS_URL": redis_url, "DATA_DIR": str(tmp_path), "PORT": "0", "RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", module, *(["scheduler"] if module == "service" else [])],
        env={**os.environ, **{f"DELTAQ_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == os.EX_CONFIG
    (line,) = done.stderr.splitlines()
    assert f"schema version {NEWEST + 1}" in line
    assert f"reads up to version {NEWEST}" in line


# How a migration is written and tested: from version 1 to 2, `old:<n>` gets the name `new:<n>`.


class Renaming:
    """A migration that is killed after so many of its pieces."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.done = 0

    def __call__(self, store: Store) -> None:
        for name in sorted(store.command("KEYS", "old:*")):
            if self.done == self.pieces:
                raise StoreUnavailable("killed")
            store.command("RENAME", name, name.replace("old", "new"))
            self.done += 1


def test_older_keys_are_brought_up_and_a_migration_that_was_killed_is_done_again(store: Store) -> None:
    check_schema(store, [])
    for number in range(5):
        store.command("SET", f"old:{number}", number)
    with pytest.raises(StoreUnavailable):
        check_schema(store, [Renaming(3)])
    assert version(store) == "1"
    assert len(store.command("KEYS", "old:*")) == 2
    again = Renaming(9)
    check_schema(store, [again])
    check_schema(store, [again])
    assert again.done == 2
    assert version(store) == "2"
    assert sorted(store.command("KEYS", "new:*")) == [f"new:{number}" for number in range(5)]


def test_several_versions_are_brought_up_in_order_by_two_processes_at_once(store: Store) -> None:
    check_schema(store, [])
    begun: list[str] = []

    def second(store: Store) -> None:
        begun.append("2 to 3")

    def first(store: Store) -> None:
        begun.append("1 to 2")
        if len(begun) == 1:
            check_schema(store, migrations)  # another process, which is faster

    migrations: list[Migration] = [first, second]
    check_schema(store, migrations)
    assert begun == ["1 to 2", "1 to 2", "2 to 3"]
    assert version(store) == "3"


# What versions before this one have left


def stored_jobs(room: AttemptRoom) -> dict[str, Job]:
    """The jobs of the recorded keys, by name."""
    return {job.spec.name or "": job for job in room.rooms.jobs.list(room.rooms.tenant).items}


@pytest.fixture(params=sorted(FIXTURES.glob("schema-*.json")), ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> AttemptRoom:
    """A room whose Redis and artifacts are those of an older deltaq, as it left them."""
    store.command("FLUSHALL")
    for command in json.loads(request.param.read_text()):
        store.command(*command)
    check_schema(store)
    room = AttemptRoom(store, tmp_path)
    jobs = stored_jobs(room)
    checkpoint, result = jobs["paused"].checkpoint, jobs["succeeded"].result
    assert checkpoint is not None
    assert result is not None
    model = room.models.records.get(room.rooms.tenant, result["model_id"])
    sha256 = room.artifacts.write(model["path"], FIXTURES / "model-1.safetensors")
    store.command("HSET", f"deltaq:model:{model['id']}", "document", strict_json.encode({**model, "sha256": sha256}))
    sha256 = room.artifacts.write(checkpoint.path, FIXTURES / "checkpoint-2.safetensors")
    kept = strict_json.encode(asdict(replace(checkpoint, sha256=sha256)))
    store.command("HSET", f"deltaq:job:{jobs['paused'].id}", "checkpoint", kept)
    return room


def test_keys_that_are_brought_up_once_more_are_as_before(old: AttemptRoom) -> None:
    def seen() -> dict[str, Any]:
        return {name: old.rooms.store.command("TYPE", name) for name in old.rooms.store.command("KEYS", "*")}

    before, order = seen(), [job.job_id for job in old.rooms.queue.waiting(8)]
    for migration in MIGRATIONS:
        migration(old.rooms.store)
    assert seen() == before
    assert [job.job_id for job in old.rooms.queue.waiting(8)] == order
    jobs = stored_jobs(old)
    assert order == [jobs["queued"].id, jobs["again"].id]
    assert [jobs[name].queue_position for name in ("queued", "again")] == [0, 1]
    shares = old.rooms.store.command("HMGET", "deltaq:tenant:ada", "jobs", "slots")
    assert shares == ["1", "1"]
    ended = old.rooms.store.command("ZRANGE", "deltaq:ended", 0, -1)
    assert set(ended) == {jobs[name].id for name in ("succeeded", "failed", "cancelled")}
    history = History(old.rooms.store, old.rooms.jobs, old.artifacts)
    assert set(history.archive(age_s=-1)) == set(ended)
    Leftovers(old.rooms.store, old.artifacts, old_s=0.0).sweep()
    result = jobs["succeeded"].result or {}
    old.models.load(old.rooms.tenant, result["model_id"])  # its file is not swept with the job's record


def test_the_keys_of_each_version_are_read(old: AttemptRoom) -> None:
    jobs = stored_jobs(old)
    assert {name: job.status.value for name, job in jobs.items() if name != "again"} == {
        name: name for name in ("succeeded", "paused", "failed", "cancelled", "running", "queued")
    }
    rooms, ended = old.rooms, jobs["succeeded"]
    assert rooms.ends_said(ended.id) == ["succeeded"]
    assert old.epochs(ended) == [1, 2, 3, 4]
    assert jobs["failed"].error is not None
    assert jobs["failed"].error["hint"] == "try a smaller learning rate"
    assert jobs["running"].requested == "pause"
    assert {job.spec.name for job in rooms.jobs.list(rooms.tenant, tag="who=me").items} == {"succeeded", "paused"}
    assert rooms.jobs.find_idempotent(rooms.tenant, IDEMPOTENCY) == jobs["again"].id
    assert ended.result is not None
    predicted = old.models.load(rooms.tenant, ended.result["model_id"]).predict([[5.1, 3.5, 1.4, 0.2]])
    assert predicted[0]["class"] == "setosa"


def test_the_jobs_of_each_version_go_on_and_end(old: AttemptRoom) -> None:
    rooms, jobs = old.rooms, stored_jobs(old)
    (running,) = rooms.queue.running()
    assert rooms.queue.beat(running.lease) == "pause"
    assert rooms.queue.release(running.lease, "paused") is JobStatus.PAUSED
    assert old.run().id == jobs["queued"].id
    rooms.jobs.request(rooms.tenant, jobs["again"].id, "cancel")
    rooms.jobs.resume(rooms.tenant, jobs["paused"].id)
    ended = old.run()
    assert (ended.id, ended.status) == (jobs["paused"].id, JobStatus.SUCCEEDED)
    assert f"Going on from step {PAUSED_AT}" in old.logged(ended)
    assert ended.result is not None
    assert ended.result["steps"] == STEPS
    rooms.jobs.retry(rooms.tenant, jobs["failed"].id)
    assert old.run().status is JobStatus.SUCCEEDED


def test_this_version_s_fixtures_are_there() -> None:
    names = (
        f"schema-{NEWEST}.json",
        f"checkpoint-{checkpoints.FORMAT}.safetensors",
        f"model-{models.FORMAT}.safetensors",
    )
    assert [name for name in names if not (FIXTURES / name).exists()] == []


def in_format(content: bytes, number: int | None) -> bytes:
    """A file with another number of its format, or with none."""
    head = {**read_metadata(content), "format": number}
    if number is None:
        del head["format"]
    return save(load(content), metadata={"deltaq": orjson.dumps(head).decode()})


def test_a_model_that_does_not_say_its_format_is_of_the_first_and_a_newer_one_is_refused() -> None:
    content = (FIXTURES / "model-1.safetensors").read_bytes()
    first = Model(in_format(content, None))
    assert np.array_equal(first.parameters.flat, Model(content).parameters.flat)
    newer = models.FORMAT + 1
    with pytest.raises(NewerFormat, match=f"the model has format {newer}, this deltaq reads up to {models.FORMAT}"):
        Model(in_format(content, newer))


@pytest.mark.parametrize("newer", [True, False])
def test_a_job_keeps_a_checkpoint_of_a_newer_format_and_begins_again_without_one_of_an_older(
    store: Store, tmp_path: Path, newer: bool
) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0)
    job = room.submit()
    lease = room.rooms.claim().lease
    number = checkpoints.FORMAT + (1 if newer else -1)
    content = in_format((FIXTURES / "checkpoint-2.safetensors").read_bytes(), number)
    path = f"checkpoints/{job.id}/{lease.token}-{PAUSED_AT}.safetensors"
    reference = CheckpointRef(path, room.artifacts.write(path, content), PAUSED_AT, room.fingerprint)
    room.rooms.queue.record_checkpoint(lease, reference)
    room.rooms.queue.release(lease, "drained")
    ended = room.run()
    if newer:
        assert ended.status is JobStatus.FAILED
        assert ended.error is not None
        assert f"format {number}, this deltaq reads up to {checkpoints.FORMAT}" in ended.error["detail"]
        assert ended.checkpoint == reference
        with pytest.raises(NewerFormat):
            read_checkpoint(reference, room.artifacts)
    else:
        assert ended.status is JobStatus.SUCCEEDED
        assert f"has format {number}, of an older deltaq; training begins again" in room.logged(ended)
