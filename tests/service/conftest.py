"""The rooms of the store over the real Redis, and the shortest way to a job in each state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from service.dataset_records import DatasetRecords
from service.errors import Diverged
from service.events import Events
from service.ids import new_id
from service.job_records import Jobs
from service.jobs import Job, JobStatus, Lease
from service.model_records import ModelRecords
from service.queue import ClaimedJob, Queue
from service.spec import JobSpec
from service.store import Store


@dataclass
class Rooms:
    """Everything that the store offers, and a data set to use."""

    store: Store
    tenant: str = "ada"
    dataset: Any = None
    claims: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.jobs, self.queue, self.events = Jobs(self.store), Queue(self.store), Events(self.store)
        self.datasets, self.models = DatasetRecords(self.store), ModelRecords(self.store)
        self.dataset = self.dataset or self.add_dataset("flowers")

    def add_dataset(self, name: str, tenant: str | None = "ada", identity: str = "same") -> Any:
        document, _ = self.datasets.create({"id": new_id("ds"), "tenant": tenant, "name": name}, identity)
        return SimpleNamespace(id=document["id"], sha256="5" * 64)

    def accept(self, tenant: str | None = None, **spec: Any) -> Job:
        made = JobSpec.model_validate({"dataset": self.dataset.id, **spec})
        return self.jobs.accept(tenant or self.tenant, made, self.dataset)[0]

    def claim(self, free_slots: int = 8) -> ClaimedJob | None:
        return self.queue.claim(1, free_slots, f"claim {next(self.claims)}")

    def start(self, **spec: Any) -> Lease:
        """A job that runs; no other may wait before it."""
        job = self.accept(**spec)
        claimed = self.claim()
        assert claimed is not None and claimed.job.id == job.id
        return claimed.lease

    def succeed(self, lease: Lease) -> str:
        model_id = new_id("model")
        self.queue.succeed(lease, {"model_id": model_id}, {"id": model_id, "job_id": lease.job_id})
        return model_id

    def bring_to(self, status: JobStatus) -> Lease:
        """A job in this state, and its last lease: not the present one, unless it runs."""
        lease = self.start()
        match status:
            case JobStatus.QUEUED:
                self.queue.release(lease, "drained")
            case JobStatus.PAUSED:
                self.jobs.request(self.tenant, lease.job_id, "pause")
                self.queue.release(lease, "paused")
            case JobStatus.SUCCEEDED:
                self.succeed(lease)
            case JobStatus.FAILED:
                self.queue.fail(lease, Diverged("the loss is not finite", hint="try a smaller learning rate"))
            case JobStatus.CANCELLED:
                self.jobs.request(self.tenant, lease.job_id, "cancel")
                self.queue.release(lease, "cancelled")
            case JobStatus.RUNNING:
                pass
        assert self.status(lease.job_id) is status
        return lease

    def job(self, job_id: str) -> Job:
        return self.jobs.get(self.tenant, job_id)

    def status(self, job_id: str) -> JobStatus:
        return self.job(job_id).status


@pytest.fixture
def store(redis_url: str) -> Iterator[Store]:
    """A store on the real, empty Redis."""
    store = Store(redis_url)
    yield store
    store.close()


@pytest.fixture
def rooms(store: Store) -> Rooms:
    """The rooms of the store on the real, empty Redis."""
    return Rooms(store)
