"""Jobs that ended long ago: they leave Redis, and are still read as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from service.artifacts import Artifacts
from service.errors import IllegalTransition, InvalidSpec, JobNotFound, NewerFormat
from service.history import History
from service.ids import new_id
from service.jobs import JobStatus
from service.store import Store
from tests.service.rooms import Rooms


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts((tmp_path / "artifacts").as_uri())


@pytest.fixture
def history(store: Store, rooms: Rooms, artifacts: Artifacts) -> History:
    return History(store, rooms.jobs, artifacts)


def ended(rooms: Rooms, rows: int = 3, **spec: Any) -> str:
    lease = rooms.start(**spec)
    rooms.queue.log(lease, "info", "Going on from step 7.")
    rooms.queue.record_epochs(lease, [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in range(1, rows + 1)])
    rooms.succeed(lease)
    return lease.job_id


def test_an_archived_job_is_read_as_it_was_and_redis_has_nothing_of_it(rooms: Rooms, history: History) -> None:
    rooms.accept()
    rooms.claim()
    before = set(rooms.store.command("KEYS", "*"))
    job_id = ended(rooms, 1203, tags={"a": "b"})
    was = rooms.job(job_id)
    rows, lines = [[*pages(read, job_id)] for read in (history.metrics, history.logs)]
    assert history.archive(age_s=3600) == []
    assert history.archive(age_s=-1) == [job_id]
    with pytest.raises(JobNotFound):
        rooms.job(job_id)
    assert history.get(rooms.tenant, job_id) == was
    assert [[*pages(read, job_id)] for read in (history.metrics, history.logs)] == [rows, lines]
    assert len(rows) == 1203
    assert rooms.jobs.list(rooms.tenant, status=JobStatus.SUCCEEDED).items == []
    assert rooms.jobs.list(rooms.tenant, tag="a").items == []
    left = {name for name in rooms.store.command("KEYS", "*") if job_id in name}
    assert left == set()
    new = {name.split(":")[1] for name in set(rooms.store.command("KEYS", "*")) - before}
    assert new <= {"model", "models", "model-files", "events", "claim"}


def test_an_archived_job_does_not_name_a_model_that_is_gone(rooms: Rooms, history: History) -> None:
    job_id = ended(rooms)
    history.archive(age_s=-1)
    model_id = (history.get(rooms.tenant, job_id).result or {})["model_id"]
    rooms.models.delete(rooms.tenant, model_id)
    assert history.get(rooms.tenant, job_id).result == {"model_id": None}


def pages(read: Any, job_id: str) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = read("ada", job_id, cursor=cursor, limit=500)
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found


def test_it_is_its_tenants_alone(rooms: Rooms, history: History) -> None:
    job_id = ended(rooms)
    history.archive(age_s=-1)
    with pytest.raises(JobNotFound):
        history.get("ben", job_id)
    for wrong in ("job-" + "a" * 20, "../x", "job-*"):
        with pytest.raises(JobNotFound):
            history.get(rooms.tenant, wrong)


def test_a_job_that_is_retried_meanwhile_is_not_forgotten(rooms: Rooms, artifacts: Artifacts) -> None:
    lease = rooms.bring_to(JobStatus.FAILED)

    class Retries(Artifacts):
        def write(self, path: str, content: Any) -> str:
            rooms.jobs.retry(rooms.tenant, lease.job_id)
            return super().write(path, content)

    assert History(rooms.store, rooms.jobs, Retries(artifacts.url)).archive(age_s=-1) == []
    assert rooms.claim().job.id == lease.job_id


def test_a_job_that_others_wait_for_stays_until_they_are_settled(rooms: Rooms, history: History) -> None:
    lease = rooms.start()
    child = rooms.accept(after=[lease.job_id])
    rooms.succeed(lease)
    assert history.archive(age_s=-1) == []
    rooms.queue.promote(1)
    assert history.archive(age_s=-1) == [lease.job_id]
    assert rooms.job(child.id).queue_position == 0


def test_jobs_come_after_archived_ones_that_have_succeeded(rooms: Rooms, history: History) -> None:
    good, dead = ended(rooms), rooms.bring_to(JobStatus.FAILED).job_id
    history.archive(age_s=-1)
    assert history.done_long_ago(rooms.tenant, [good, new_id("job")]) == [good]
    with pytest.raises(InvalidSpec, match=r"after\.1 .*it is failed"):
        history.done_long_ago(rooms.tenant, [good, dead])
    with pytest.raises(IllegalTransition, match="is failed and archived: retry is not possible"):
        history.steer(rooms.tenant, dead, "retry", rooms.jobs.retry)
    with pytest.raises(JobNotFound):
        history.steer(rooms.tenant, new_id("job"), "retry", rooms.jobs.retry)


def test_an_archive_of_a_later_version_is_refused_by_name(rooms: Rooms, history: History, artifacts: Artifacts) -> None:
    job_id = ended(rooms)
    history.archive(age_s=-1)
    head, *rows = artifacts.read(f"jobs/{job_id}.jsonl").splitlines()
    later = orjson.dumps({**orjson.loads(head), "format": 2})
    artifacts.write(f"jobs/{job_id}.jsonl", b"\n".join([later, *rows]))
    with pytest.raises(NewerFormat, match=r"the archive of job .* has format 2, this deltaq reads up to 1"):
        history.get(rooms.tenant, job_id)


def test_events_that_have_expired_are_a_snapshot_and_the_last_one_is_still_known(rooms: Rooms) -> None:
    job_id = ended(rooms)
    assert 86000 < rooms.store.command("TTL", f"deltaq:job:{job_id}:events") <= 86400
    last = rooms.events.read(job_id).last_id
    rooms.store.command("DEL", f"deltaq:job:{job_id}:events")
    found = rooms.events.read(job_id)
    assert (found.events, found.missed, found.complete) == ([], True, True)
    again = rooms.events.read(job_id, last)
    assert (again.silent, again.ended) == (True, True)
    lease = rooms.bring_to(JobStatus.FAILED)
    rooms.jobs.retry(rooms.tenant, lease.job_id)
    assert rooms.store.command("TTL", f"deltaq:job:{lease.job_id}:events") == -1
