"""`reuse`: a job of the same work that has succeeded answers for another; nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.jobs import Job, JobStatus
from service.model_records import ModelRecords
from service.spec import JobSpec
from service.store import Store
from tests.service.test_data_attempts import Service
from workers import kernels


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Service:
    service = Service(store, tmp_path)
    service.room.fingerprint = kernels.fingerprint()
    return service


SPEC: dict[str, Any] = {"dataset": "iris", "network": {"hidden": [4]}, "epochs": 2}
OTHER_NAMES: dict[str, Any] = {"name": "again", "tags": {"a": "b"}, "priority": 3, "retries": 0, "workers": {"max": 1}}


def submit(service: Service, tenant: str = "ada", **fields: Any) -> Job:
    return service.submission.submit(tenant, JobSpec.model_validate({**SPEC, **fields}))


def test_the_same_work_is_answered_at_once_and_says_by_whom(service: Service) -> None:
    submit(service)
    first = service.room.run()
    assert first.result is not None
    job = submit(service, reuse=True, **OTHER_NAMES)
    assert job.status is JobStatus.SUCCEEDED
    assert job.result == {**first.result, "reused_from": first.id}
    assert (job.attempt, job.started_at, job.finished_at is not None) == (0, None, True)
    assert job.metrics == first.metrics
    jobs, rooms = service.room.rooms.jobs, service.room.rooms
    assert jobs.metrics("ada", job.id).items == jobs.metrics("ada", first.id).items
    assert rooms.ends_said(job.id) == [JobStatus.SUCCEEDED]
    assert [found.id for found in jobs.list("ada", status=JobStatus.SUCCEEDED).items] == [job.id, first.id]
    assert rooms.try_claim() is None
    assert submit(service, reuse=True).result == job.result  # always the one that was trained


def test_the_model_that_was_taken_is_dropped_by_no_sweep_that_made_it(service: Service) -> None:
    for taken in (False, True):
        submit(service, seed=int(taken))
        trained = service.room.run()
        assert trained.result is not None
        if taken:
            assert submit(service, seed=int(taken), reuse=True).status is JobStatus.SUCCEEDED
        records = ModelRecords(service.room.rooms.store)
        dropped = records.delete_unnamed("ada", [trained.result["model_id"]])
        assert [found["id"] for found in dropped] == ([] if taken else [trained.result["model_id"]])
        assert service.room.rooms.job(trained.id).result == {**trained.result, **({} if taken else {"model_id": None})}


def test_what_need_not_wait_is_answered_too_and_what_must_is_done(service: Service) -> None:
    first = submit(service)
    service.room.run()
    assert submit(service, reuse=True, after=[first.id]).status is JobStatus.SUCCEEDED
    past = submit(service, reuse=True, not_before="2020-01-01T00:00:00Z")
    assert (past.status, past.waits_until) == (JobStatus.SUCCEEDED, None)
    assert submit(service, reuse=True, not_before="2100-01-01T00:00:00Z").status is JobStatus.QUEUED


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"epochs": 3}, {"dataset": "wine"}, {"early_stopping": {}}, {"data": {"split_seed": 2}}]
)
def test_other_work_is_done(service: Service, change: dict[str, Any]) -> None:
    submit(service)
    service.room.run()
    assert submit(service, reuse=True, **change).status is JobStatus.QUEUED


def test_nothing_is_reused_unasked_of_others_of_other_kernels_or_without_its_model(service: Service) -> None:
    assert submit(service, reuse=True).status is JobStatus.QUEUED  # nobody has done it yet
    service.room.fingerprint = {"numpy": "another"}
    service.room.run()
    assert submit(service, reuse=True).status is JobStatus.QUEUED
    service.room.fingerprint = kernels.fingerprint()
    service.room.run()
    assert submit(service).status is JobStatus.QUEUED
    service.room.run()
    assert submit(service, "ben", reuse=True).status is JobStatus.QUEUED
    for model in service.room.rooms.models.list("ada").items:
        service.room.rooms.models.delete("ada", model["id"])
    assert submit(service, reuse=True).status is JobStatus.QUEUED
