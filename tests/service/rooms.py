"""The rooms of the store, and the shortest way to a job in each state."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from service.acceptance import Acceptance
from service.dataset_records import DatasetRecords
from service.errors import Diverged
from service.events import Events
from service.fusing import Fusion
from service.ids import new_id
from service.job_records import Jobs
from service.jobs import Job, JobStatus, Lease
from service.model_records import ModelRecords
from service.queue import ClaimedJob, Queue
from service.spec import JobSpec
from service.store import Store, key


@dataclass(frozen=True)
class Identity:
    """What a job knows of a data set."""

    id: str
    sha256: str = "5" * 64


class Rooms:
    """Everything that the store offers, seen by one tenant, and a data set of this tenant's to use."""

    tenant = "ada"

    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs, self.queue, self.events = Jobs(store), Queue(store), Events(store)
        self.datasets, self.models = DatasetRecords(store), ModelRecords(store)
        self.dataset = self.add_dataset("flowers")

    def add_dataset(self, name: str, tenant: str | None = "ada", identity: str = "same") -> Identity:
        document, _ = self.datasets.create({"id": new_id("ds"), "tenant": tenant, "name": name}, identity)
        return Identity(document["id"])

    def accept(self, tenant: str | None = None, **spec: Any) -> Job:
        return self.accept_fusable(None, tenant, **spec)

    def accept_fusable(self, kind: str | None, tenant: str | None = None, members: int = 32, **spec: Any) -> Job:
        """A job that can be trained as one with others of its kind."""
        fusion = None if kind is None else Fusion(kind, members)
        made = JobSpec.model_validate({"dataset": self.dataset.id, **spec})
        return self.jobs.accept(Acceptance(tenant or self.tenant, made, self.dataset, fusion=fusion))[0]

    def try_claim(self, free_slots: int = 8) -> ClaimedJob | None:
        return self.queue.claim(1, free_slots, secrets.token_hex(8))

    def bring_due(self) -> None:
        """Have the time come that jobs wait for."""
        for job_id in self.store.command("ZRANGE", key("later"), 0, -1):
            self.store.command("ZADD", key("later"), 0, job_id)
        self.queue.promote(2**31)

    def start(self, **spec: Any) -> Lease:
        """A job that runs; no other may wait before it."""
        job = self.accept(**spec)
        claimed = self.claim()
        assert claimed.job.id == job.id
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

    def ends_said(self, job_id: str) -> list[str]:
        """The terminal states among the job's status events, in order."""
        said = [event.data for event in self.events.read(job_id).events if event.type == "status"]
        statuses = [JobStatus(orjson.loads(data)["status"]) for data in said]
        return [status for status in statuses if status.terminal]

    def claim(self, free_slots: int = 8) -> ClaimedJob:
        """The next job, which there must be."""
        claimed = self.try_claim(free_slots)
        assert claimed is not None
        return claimed
