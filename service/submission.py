"""From a spec as a user wrote it to a job in the queue, or to what such a job would be. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from service import strict_json
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import DatasetNotFound, FieldError, InvalidSpec, UnknownDataset
from service.gang_size import GangSize, gang_size
from service.history import History
from service.job_records import Jobs
from service.jobs import Job
from service.models import ModelStore
from service.queue import Queue
from service.refusals import unknown_dataset
from service.resolution import VALIDATION_POINTER, Resolution, resolve
from service.same_work import work_digest
from service.spec import JobSpec
from service.warm_start import as_start, find_start
from workers import kernels

_REMEMBERED = 256  # requests whose resolution is kept


@dataclass(frozen=True)
class _Resolved:
    """What a request comes to: all that is queued of it, as long as its data sets are there, which never change."""

    spec: JobSpec
    dataset: Dataset
    validation: Dataset | None
    warnings: Sequence[str]
    size: GangSize
    work: str


class Submission:
    """The way of specs into the queue."""

    def __init__(
        self,
        jobs: Jobs,
        history: History,
        datasets: DatasetRecords,
        models: ModelStore,
        queue: Queue,
        max_job_bytes: int,
    ) -> None:
        self._jobs = jobs
        self._history = history
        self._models = models
        self._queue = queue
        self._datasets = datasets
        self._max_job_bytes = max_job_bytes
        self._resolved = lru_cache(_REMEMBERED)(self._resolve_to_queue)

    def submit(self, tenant: str, spec: JobSpec, idempotency_key: str | None = None) -> Job:
        """Queue a job; the same key and spec again give the job that they made.

        Raises: InvalidSpec; UnknownDataset; QueueFull; IdempotencyConflict; StoreUnavailable.
        """
        request = _Request(tenant, spec, request_sha256(spec))
        idempotency = None if idempotency_key is None else (idempotency_key, request.sha256)
        if idempotency is not None:
            made = self._jobs.find_idempotent(tenant, idempotency)
            if made is not None:  # its data set may be gone by now: the answer stays the same
                return self._history.get(tenant, made)
        try:
            return self._accept(request, self._resolved(request), idempotency)
        except UnknownDataset:  # it may have been deleted since the request was remembered, and its name used again
            self._resolved.cache_clear()
            return self._accept(request, self._resolved(request), idempotency)

    def _accept(self, request: _Request, found: _Resolved, idempotency: tuple[str, str] | None) -> Job:
        tenant, spec = request.tenant, request.spec
        return self._jobs.accept(
            tenant,
            found.spec,
            found.dataset,
            [*found.warnings, *self._waits_for_slots(spec)],
            idempotency,
            found.size,
            found.validation,
            done=self._history.done_long_ago(tenant, spec.after),
            work=found.work,
            fingerprint=strict_json.sha256(kernels.fingerprint()) if spec.reuse else None,
        )[0]

    def _resolve_to_queue(self, request: _Request) -> _Resolved:
        dataset, validation, found = self._resolve(request.tenant, request.spec)
        work = work_digest(found.spec, dataset, validation)
        return _Resolved(found.spec, dataset, validation, found.warnings, gang_size(found), work)

    def resolve(self, tenant: str, spec: JobSpec) -> Resolution:
        """Say what a job of this spec would be, every auto resolved; nothing is queued.

        Raises: InvalidSpec; UnknownDataset.
        """
        found = self._resolve(tenant, spec)[2]
        return replace(found, warnings=[*found.warnings, *self._waits_for_slots(spec)])

    def _resolve(self, tenant: str, spec: JobSpec) -> tuple[Dataset, Dataset | None, Resolution]:
        dataset, other = self._find(tenant, spec.dataset, "/dataset"), spec.data.validation_dataset
        validation = None if other is None else self._find(tenant, other, VALIDATION_POINTER)
        resolution = resolve(spec, dataset, validation, as_start(find_start(self._models, tenant, spec)))
        self._check_size(resolution)
        return dataset, validation, resolution

    def _find(self, tenant: str, id_or_name: str, pointer: str) -> Dataset:
        try:
            return Dataset.from_document(self._datasets.find(tenant, id_or_name))
        except DatasetNotFound:
            raise unknown_dataset(id_or_name, pointer) from None

    def _waits_for_slots(self, spec: JobSpec) -> list[str]:
        """A warning where the cluster has never room for the job as it is now."""
        if spec.workers.min == 1:
            return []
        slots = (self._queue.cluster() or {}).get("slots")
        if slots is None or spec.workers.min <= slots:
            return []
        return [f"workers.min is {spec.workers.min} and the cluster has {slots} slots: the job waits until it has more"]

    def _check_size(self, resolution: Resolution) -> None:
        if resolution.memory_bytes > self._max_job_bytes:
            needed, allowed = resolution.memory_bytes, self._max_job_bytes
            what = f"{resolution.parameters} parameters need {needed} bytes a worker"
            hidden = resolution.spec.model_dump(mode="json")["network"]["hidden"]
            error = FieldError("/network/hidden", hidden, what, f"at most {allowed} bytes (DELTAQ_MAX_JOB_BYTES)")
            raise InvalidSpec(f"network.hidden: {what}; allowed are {allowed} (DELTAQ_MAX_JOB_BYTES)", errors=[error])


@dataclass(frozen=True)
class _Request:
    """A spec as one tenant sent it; equal ones come to the same, but where a model may be gone by then."""

    tenant: str
    spec: JobSpec
    sha256: str

    def __hash__(self) -> int:
        return hash((self.tenant, self.sha256))

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, _Request) and (self.tenant, self.sha256) == (other.tenant, other.sha256)
        return same and self.spec.warm_start is None


def request_sha256(spec: JobSpec) -> str:
    """What makes two requests the same: the fields that differ from their defaults, in whatever order and form."""
    return strict_json.sha256(spec.model_dump(mode="json", exclude_defaults=True))
