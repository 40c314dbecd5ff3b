"""From a resolved spec to the arrays and the transform that training reads. Knows no network and no cluster.

Split and transform come from (data, data spec, split_seed) alone, are fitted once and stored: whoever comes second
reads what the first one recorded, so that every worker, attempt and job of the same preparation sees the same bits. Two
that build at once write under names of their own; Redis keeps the first. One whose files are lost is forgotten and
built again: the same spec and data give the same bits.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service import strict_json
from service.artifacts import Artifacts
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import DatasetNotFound, StoreUnavailable
from service.preparation_plan import FORMAT, Plan
from service.prepared_arrays import TRANSFORM, build_arrays
from service.raw_columns import data_missing
from service.spec import JobSpec
from service.transform import Transform
from workers.datafiles import CACHE_BYTES, DataFiles, MappedData

_BUILDS = 3  # how often one may be lost under our hands before the store is to blame


@dataclass(frozen=True)
class PreparedData:
    """What a job trains on: where its arrays are, and the transform that made them."""

    files: DataFiles
    transform: Transform
    warnings: list[str]

    def open(self) -> MappedData:
        """The arrays in the job's precision, mapped read-only."""
        return self.files.open()


def prepare(
    spec: JobSpec,
    dataset: Dataset,
    artifacts: Artifacts,
    records: DatasetRecords,
    cache: Path,
    check: Callable[[], None] = lambda: None,
    *,
    validation: Dataset | None = None,
    fold: int | None = None,
    given: Transform | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> PreparedData:
    """The arrays and the transform of a resolved spec: those on record, or else made now and recorded.

    `validation` is the data set that `data.validation_dataset` names. Of `data.folds`, `fold` validates (from 0), and
    without it all rows train, as the final refit has them. A `given` transform, a model's, is kept instead of fitted.
    `check` is called before each piece of the work; what it raises passes through, and nothing is left or recorded.
    Raises: DataMissing when a data set is gone; UnusableData; InvalidSpec when the data set has not what a given
    transform takes; StoreUnavailable.
    """
    plan = Plan(spec, dataset, validation, fold, given)
    key = plan.key
    for _ in range(_BUILDS):
        reference = records.prepared(dataset.id, key)
        if reference is None:
            reference = _make(plan, artifacts, records, cache, check)
        found = _read_whole(artifacts, reference["folder"])
        if found is not None:
            names = tuple(found["arrays"])
            files = DataFiles(artifacts.url, reference["folder"], str(cache), names, cache_bytes)
            return PreparedData(files, Transform.from_json(found["transform"]), found["warnings"])
        records.forget_prepared(dataset.id, key, reference)  # what is left of its files is swept with the leftovers
    raise StoreUnavailable(f"what was prepared of data set {dataset.id} was lost {_BUILDS} times, as soon as written")


def _make(
    plan: Plan, artifacts: Artifacts, records: DatasetRecords, cache: Path, check: Callable[[], None]
) -> dict[str, Any]:
    """Build a preparation under a name that nobody else has, and record it; where another was first, theirs holds."""
    dataset, key = plan.dataset, plan.key
    folder = f"datasets/{dataset.id}/prepared/{key[:32]}-{secrets.token_hex(8)}"
    try:
        build_arrays(plan, artifacts, folder, cache, check)
    except BaseException:
        with suppress(StoreUnavailable):  # what stays is swept with the leftovers
            artifacts.delete_folder(folder)
        raise
    try:
        reference = records.record_prepared(dataset.id, key, {"format": FORMAT, "folder": folder})
    except DatasetNotFound as gone:
        artifacts.delete_folder(folder)
        raise data_missing(dataset) from gone
    if reference["folder"] != folder:
        artifacts.delete_folder(folder)
    return reference


def _read_whole(artifacts: Artifacts, folder: str) -> dict[str, Any] | None:
    """What stands beside the arrays; None where that or one of them is lost.

    It is asked of what was recorded just now as well: a build of more than an hour may have been swept meanwhile.
    """
    try:
        found: dict[str, Any] = strict_json.decode(artifacts.read(f"{folder}/{TRANSFORM}"))
    except FileNotFoundError:
        return None
    return found if all(artifacts.exists(f"{folder}/{name}.npy") for name in found["arrays"]) else None
