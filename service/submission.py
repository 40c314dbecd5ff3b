"""From a spec as a user wrote it to a job in the queue, or to what such a job would be. Knows no HTTP."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

from service import strict_json
from service.acceptance import Acceptance, Idempotency, spec_text
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import DatasetNotFound, FieldError, InvalidSpec, ModelNotFound
from service.fusing import Fusion, fusion_of
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

Datasets = dict[str, Dataset]  # by id or name
Found = TypeVar("Found")

_REMEMBERED = 256  # of each kind
_FEW_COLUMNS = 100  # to resolve a spec for so many takes well below a millisecond


@dataclass(frozen=True)
class Submitted:
    """A spec as one tenant sent it."""

    tenant: str
    spec: JobSpec
    idempotency_key: str | None = None

    @cached_property
    def sha256(self) -> str:
        """What makes two requests the same: the fields that differ from their defaults, in whatever order and form."""
        return strict_json.sha256(self.spec.model_dump(mode="json", exclude_defaults=True))

    @property
    def idempotency(self) -> Idempotency | None:
        """The key, if there is one, and what came with it."""
        return None if self.idempotency_key is None else (self.idempotency_key, self.sha256)


@dataclass(frozen=True)
class _Resolved:
    """What a request comes to: all that is queued of it, as long as its data sets are there, which never change."""

    spec: JobSpec
    dataset: Dataset
    validation: Dataset | None
    warnings: Sequence[str]
    size: GangSize
    work: str
    parameters: int
    fusion: Fusion | None
    text: str  # of the spec


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
        self._requests = _Remembered[_Resolved]()  # by tenant and what makes two requests the same
        self._found = _Remembered[Dataset]()  # those of few columns, by tenant and id or name

    def submit(self, tenant: str, spec: JobSpec, idempotency_key: str | None = None) -> Job:
        """Queue a job; the same key and spec again give the job that they made.

        Raises: InvalidSpec; UnknownDataset; QueueFull; IdempotencyConflict; StoreUnavailable.
        """
        prepared = self.prepare(Submitted(tenant, spec, idempotency_key))
        return prepared if isinstance(prepared, Job) else self._jobs.accept(prepared)[0]

    def prepare(self, one: Submitted, known: Datasets | None = None, *, fusable: bool = False) -> Acceptance | Job:
        """Decide all that is decided before a job is accepted; the job itself where its key has made it already.

        `known` are data sets that are there for certain, and takes those that are found. A `fusable` job may be trained
        as one with others.
        Raises: InvalidSpec; UnknownDataset; IdempotencyConflict; StoreUnavailable.
        """
        if one.idempotency is not None:
            made = self._jobs.find_idempotent(one.tenant, one.idempotency)
            if made is not None:  # its data set may be gone by now: the answer stays the same
                return self._history.get(one.tenant, made)
        found = self._resolve_to_queue(one, known)
        self._requests.put((one.tenant, one.sha256), found)
        warnings = [*found.warnings, *self._waits_for_slots(one.spec)]
        done = self._history.done_long_ago(one.tenant, one.spec.after)
        prepared = _acceptance(one, found, warnings, done)
        return replace(prepared, fusion=found.fusion) if fusable else prepared

    def at_hand(self, one: Submitted) -> Acceptance | None:
        """What `prepare` would return, where it can be said at once and may be taken for true: it asks nobody.

        A data set may have been deleted since it was found, and its name used again; or the key may have made a job
        whose record is archived. The step that accepts says UnknownDataset or JobNotFound then, and it has to be
        prepared.
        """
        spec = one.spec
        if spec.after or spec.workers.min > 1 or spec.warm_start is not None:  # what these come to changes
            return None
        request = one.tenant, one.sha256
        found = self._requests.get(request)
        if found is None:
            known = self._known(one)
            if known is None:
                return None
            try:
                found = self._resolve_to_queue(one, known)
            except InvalidSpec:
                return None  # for this data set: its name may be another's by now
            self._requests.put(request, found)
        return _acceptance(one, found, found.warnings)

    def _known(self, one: Submitted) -> Datasets | None:
        """The data sets of a request as they were found last; None: one has not been found yet."""
        known = {}
        for name in filter(None, (one.spec.dataset, one.spec.data.validation_dataset)):
            found = self._found.get((one.tenant, name))
            if found is None:
                return None
            known[name] = found
        return known

    def _resolve_to_queue(self, one: Submitted, known: Datasets | None) -> _Resolved:
        dataset, validation, found = self._resolve(one.tenant, one.spec, known)
        work = work_digest(found.spec, dataset, validation)
        fusion = fusion_of(found, dataset.id, None if validation is None else validation.id)
        size = gang_size(found)
        text = spec_text(found.spec)
        return _Resolved(found.spec, dataset, validation, found.warnings, size, work, found.parameters, fusion, text)

    def resolve(self, tenant: str, spec: JobSpec) -> Resolution:
        """Say what a job of this spec would be, every auto resolved; nothing is queued.

        Raises: InvalidSpec; UnknownDataset.
        """
        found = self._resolve(tenant, spec)[2]
        return replace(found, warnings=[*found.warnings, *self._waits_for_slots(spec)])

    def model_id(self, tenant: str, named: str) -> str:
        """The id of a model that a spec names; where there is none, what it is named: resolving says so."""
        try:
            return str(self._models.records.get(tenant, named)["id"])
        except ModelNotFound:
            return named

    def _resolve(
        self, tenant: str, spec: JobSpec, known: Datasets | None = None
    ) -> tuple[Dataset, Dataset | None, Resolution]:
        known = {} if known is None else known
        dataset, other = self._find(tenant, spec.dataset, "/dataset", known), spec.data.validation_dataset
        validation = None if other is None else self._find(tenant, other, VALIDATION_POINTER, known)
        resolution = resolve(spec, dataset, validation, as_start(find_start(self._models, tenant, spec)))
        self._check_size(resolution)
        return dataset, validation, resolution

    def _find(self, tenant: str, id_or_name: str, pointer: str, known: Datasets) -> Dataset:
        if id_or_name in known:
            return known[id_or_name]
        try:
            found = known[id_or_name] = Dataset.from_document(self._datasets.find(tenant, id_or_name))
        except DatasetNotFound:
            raise unknown_dataset(id_or_name, pointer) from None
        if len(found.columns) <= _FEW_COLUMNS:
            self._found.put((tenant, id_or_name), found)
        return found

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


class _Remembered(Generic[Found]):
    """What the latest questions came to; any thread's."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Found] = {}
        self._lock = threading.Lock()

    def get(self, question: tuple[str, str]) -> Found | None:
        return self._found.get(question)

    def put(self, question: tuple[str, str], found: Found) -> None:
        with self._lock:
            self._found[question] = found
            if len(self._found) > _REMEMBERED:
                del self._found[next(iter(self._found))]  # the oldest


def _acceptance(one: Submitted, found: _Resolved, warnings: Sequence[str], done: Sequence[str] = ()) -> Acceptance:
    return Acceptance(
        one.tenant,
        found.spec,
        found.dataset,
        warnings,
        one.idempotency,
        found.size,
        found.validation,
        done=done,
        work=found.work,
        parameters=found.parameters,
        spec_text=found.text,
        fingerprint=strict_json.sha256(kernels.fingerprint()) if one.spec.reuse else None,
    )
