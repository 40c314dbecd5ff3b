"""Accepting jobs: the record as it was sent, idempotency, and the data set's part in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.acceptance import Acceptance
from service.errors import IdempotencyConflict, InUse, UnknownDataset, UnusableData
from service.ids import new_id
from service.jobs import JobStatus
from service.spec import JobSpec
from tests.service.rooms import Identity, Rooms


def test_fifty_posts_of_one_key_make_one_job(rooms: Rooms) -> None:
    spec = JobSpec(dataset=rooms.dataset.id)

    def post(_: int) -> tuple[str, bool]:
        job, created = rooms.jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=("key", "request")))
        return job.id, created

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(post, range(50)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert rooms.queue.depth() == len(rooms.jobs.list("ada").items) == 1


def test_a_key_belongs_to_its_tenant_and_its_request(rooms: Rooms) -> None:
    rooms.dataset = rooms.add_dataset("everybody's", tenant=None)
    spec = JobSpec(dataset=rooms.dataset.id)
    mine, _ = rooms.jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=("key", "one")))
    others, created = rooms.jobs.accept(Acceptance("bob", spec, rooms.dataset, idempotency=("key", "one")))
    assert created
    assert others.id != mine.id
    assert rooms.jobs.find_idempotent("ada", ("key", "one")) == mine.id
    assert rooms.jobs.find_idempotent("ada", ("another", "one")) is None
    for attempt in (
        lambda: rooms.jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=("key", "two"))),
        lambda: rooms.jobs.find_idempotent("ada", ("key", "two")),
    ):
        with pytest.raises(IdempotencyConflict, match=mine.id):
            attempt()
    assert len(rooms.jobs.list("ada").items) == 1


def test_a_key_is_kept_a_day(rooms: Rooms) -> None:
    rooms.jobs.accept(Acceptance("ada", JobSpec(dataset=rooms.dataset.id), rooms.dataset, idempotency=("key", "one")))
    (name,) = rooms.store.command("KEYS", "deltaq:idempotency:*")
    assert 86_000 < rooms.store.command("TTL", name) <= 86_400


def test_a_refused_request_uses_no_key_up(rooms: Rooms) -> None:
    gone = SimpleNamespace(id=new_id("ds"), sha256="0" * 64)
    with pytest.raises(UnknownDataset, match=gone.id):
        rooms.jobs.accept(Acceptance("ada", JobSpec(dataset=gone.id), gone, idempotency=("key", "one")))
    assert rooms.jobs.list("ada").items == []
    _, created = rooms.jobs.accept(Acceptance("ada", JobSpec(dataset="d"), rooms.dataset, idempotency=("key", "two")))
    assert created


def test_another_tenants_data_set_is_unknown_and_everybodys_is_not(rooms: Rooms) -> None:
    with pytest.raises(UnknownDataset):
        rooms.accept(tenant="bob")
    rooms.dataset = rooms.add_dataset("digits", tenant=None)
    assert rooms.accept(tenant="bob").tenant == "bob"


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED])
def test_a_data_set_in_use_stays_and_the_end_lets_it_go(rooms: Rooms, status: JobStatus) -> None:
    lease = rooms.bring_to(status)
    with pytest.raises(InUse, match=lease.job_id):
        rooms.datasets.delete("ada", rooms.dataset.id)
    rooms.jobs.request("ada", lease.job_id, "cancel")
    if status is JobStatus.RUNNING:
        rooms.queue.release(lease, "cancelled")
    rooms.datasets.delete("ada", rooms.dataset.id)


@pytest.mark.parametrize("end", ["cancel", "succeed", "fail"])
def test_so_does_the_data_set_that_a_job_validates_on(rooms: Rooms, end: str) -> None:
    other = rooms.add_dataset("other")
    job, _ = rooms.jobs.accept(Acceptance("ada", JobSpec(dataset=rooms.dataset.id), rooms.dataset, validation=other))
    with pytest.raises(InUse, match=job.id):
        rooms.datasets.delete("ada", other.id)
    if end == "cancel":
        rooms.jobs.request("ada", job.id, "cancel")
    elif end == "succeed":
        rooms.queue.succeed(rooms.claim().lease, {"model_id": "model-1"}, {"id": "model-1"})
    else:
        rooms.queue.fail(rooms.claim().lease, UnusableData("all weigh 0"))
        rooms.jobs.retry("ada", job.id, "start")
        with pytest.raises(InUse, match=job.id):
            rooms.datasets.delete("ada", other.id)
        rooms.jobs.request("ada", job.id, "cancel")
    rooms.datasets.delete("ada", other.id)
    if end != "succeed":
        with pytest.raises(UnknownDataset, match=r"data\.validation_dataset") as refused:
            rooms.jobs.retry("ada", job.id, "start")
        assert refused.value.errors[0].pointer == "/data/validation_dataset"


def test_a_data_set_to_validate_on_must_be_there_and_ones_own(rooms: Rooms) -> None:
    for other in (Identity(new_id("ds")), rooms.add_dataset("theirs", tenant="bob")):
        with pytest.raises(UnknownDataset, match=other.id) as refused:
            rooms.jobs.accept(Acceptance("ada", JobSpec(dataset=rooms.dataset.id), rooms.dataset, validation=other))
        assert refused.value.errors[0].pointer == "/data/validation_dataset"
    assert rooms.jobs.list("ada").items == []


def test_nothing_old_ever_trains_on_new_bytes(rooms: Rooms) -> None:
    lease = rooms.bring_to(JobStatus.CANCELLED)
    old = rooms.dataset
    rooms.datasets.delete("ada", old.id)
    fresh = rooms.add_dataset("flowers", identity="other bytes")
    assert fresh.id != old.id
    for start in ("start", "checkpoint"):
        with pytest.raises(UnknownDataset, match=old.id):
            rooms.jobs.retry("ada", lease.job_id, start)
    with pytest.raises(UnknownDataset, match=old.id):
        rooms.jobs.accept(Acceptance("ada", rooms.job(lease.job_id).spec, old))
    assert rooms.status(lease.job_id) is JobStatus.CANCELLED


def test_a_retried_job_uses_its_data_set_again(rooms: Rooms) -> None:
    lease = rooms.bring_to(JobStatus.FAILED)
    rooms.jobs.retry("ada", lease.job_id, "start")
    with pytest.raises(InUse):
        rooms.datasets.delete("ada", rooms.dataset.id)


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
tag_keys = st.text(st.characters(codec="utf-8", exclude_characters="="), min_size=1, max_size=20)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=texts,
    tags=st.dictionaries(tag_keys, texts, max_size=3),
    seed=st.integers(0, 2**63 - 1),
    rate=st.floats(0, 1e9),
    epochs=st.integers(1, 1_000_000),
    warning=texts,
)
def test_the_spec_comes_back_as_it_was(
    rooms: Rooms, name: str, tags: dict[str, str], seed: int, rate: float, epochs: int, warning: str
) -> None:
    sent = {"name": name, "tags": tags, "seed": seed, "epochs": epochs, "optimizer": {"learning_rate": rate}}
    spec = JobSpec.model_validate({"dataset": rooms.dataset.id, **sent, "network": {"hidden": [3, {"units": 2}]}})
    job, _ = rooms.jobs.accept(Acceptance("ada", spec, rooms.dataset, [warning]))
    assert rooms.job(job.id) == job
    assert (job.spec, job.warnings, job.dataset_sha256) == (spec, [warning], rooms.dataset.sha256)
