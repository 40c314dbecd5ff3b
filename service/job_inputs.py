"""What a job is made from: its data sets and the model that it goes on from, as they are found now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import DataMissing, DatasetNotFound, ModelNotFound
from service.jobs import Job
from service.models import Model, ModelStore, OptimizerState
from service.resolution import Resolution, resolve
from service.spec import WarmStart
from service.transform import Transform
from service.warm_start import as_start

Insist = Callable[[Callable[[], Any]], Any]


@dataclass(frozen=True)
class JobInputs:
    """A job's spec as resolved for its data sets, and its model where it has a warm start."""

    dataset: Dataset
    validation: Dataset | None
    model: Model | None
    optimizer: OptimizerState | None  # the model's, where the warm start takes it
    resolution: Resolution

    @property
    def transform(self) -> Transform | None:
        """The transform that is taken instead of being fitted."""
        return None if self.model is None else self.model.transform


def read_inputs(
    job: Job, records: DatasetRecords, models: ModelStore, insist: Insist, known: dict[str, Dataset]
) -> JobInputs:
    """Find all that a job names; `insist` asks again while Redis is away.

    `known` are data sets of its tenant that have just been found, and takes those that are found.
    Raises: DataMissing when one of them is gone; StoreUnavailable.
    """

    def dataset(named: str) -> Dataset:
        try:
            if named not in known:
                known[named] = Dataset.from_document(insist(lambda: records.get(job.tenant, named)))
            return known[named]
        except DatasetNotFound as gone:
            hint = "Upload it again and submit a new job."
            raise DataMissing(f"Data set {named} of this job is gone.", hint=hint) from gone

    trains, validates = dataset(job.spec.dataset), job.spec.data.validation_dataset
    validation = None if validates is None else dataset(validates)
    model, optimizer = (None, None) if job.spec.warm_start is None else _begin(job.tenant, job.spec.warm_start, models)
    return JobInputs(trains, validation, model, optimizer, resolve(job.spec, trains, validation, as_start(model)))


def _begin(tenant: str, asked: WarmStart, models: ModelStore) -> tuple[Model, OptimizerState | None]:
    named = asked.model
    try:
        return models.load(tenant, named), models.optimizer_state(tenant, named) if asked.optimizer else None
    except ModelNotFound as gone:
        hint = "Submit a new job that begins with another model, or without one."
        raise DataMissing(f"Model {named}, which this job goes on from, is gone.", hint=hint) from gone
