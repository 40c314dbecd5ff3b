"""From a resolved spec to the arrays and the transform that training reads. Knows no network and no cluster.

Split and transform come from (data, data spec, split_seed) alone, are fitted once and stored: whoever comes second
reads what the first one recorded, so that every worker, attempt and job of the same preparation sees the same bits. Two
that build at once write under names of their own; Redis keeps the first. One whose files are lost is forgotten and
built again: the same spec and data give the same bits.
"""

from __future__ import annotations

import hashlib
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
from service.prepared_arrays import FILES, TRANSFORM, build_arrays, data_missing, output_width
from service.spec import JobSpec
from service.transform import Transform
from workers.datafiles import DataFiles, MappedData

FORMAT = 1  # of what is stored; another one is another preparation
_BUILDS = 3  # how often one may be lost under our hands before the store is to blame


@dataclass(frozen=True)
class PreparedData:
    """What a job trains on: where its arrays are, and the transform that made them."""

    files: DataFiles
    transform: Transform
    warnings: list[str]

    def open(self) -> MappedData:
        """The four arrays in the job's precision, mapped read-only."""
        return self.files.open()


def prepare(
    spec: JobSpec,
    dataset: Dataset,
    artifacts: Artifacts,
    records: DatasetRecords,
    cache: Path,
    check: Callable[[], None] = lambda: None,
) -> PreparedData:
    """The arrays and the transform of a resolved spec: those on record, or else made now and recorded.

    `check` is called before each piece of the work; what it raises passes through, and nothing is left or recorded.
    Raises: DataMissing when the data set is gone; StoreUnavailable.
    """
    key = preparation_key(spec, dataset)
    for _ in range(_BUILDS):
        reference = records.prepared(dataset.id, key)
        if reference is None:
            reference = _make(key, spec, dataset, artifacts, records, cache, check)
        found = _read_whole(artifacts, reference["folder"])
        if found is not None:
            files = DataFiles(artifacts.url, reference["folder"], str(cache))
            return PreparedData(files, Transform.from_json(found["transform"]), found["warnings"])
        records.forget_prepared(dataset.id, key, reference)  # what is left of its files is swept with the leftovers
    raise StoreUnavailable(f"what was prepared of data set {dataset.id} was lost {_BUILDS} times, as soon as written")


def preparation_key(spec: JobSpec, dataset: Dataset) -> str:
    """The name of a preparation: a digest of the data and of every field that changes a bit of its arrays."""
    data = spec.data.model_dump(mode="json")
    outputs = output_width(spec, dataset)
    document = [FORMAT, dataset.sha256, dict(dataset.overrides), data, outputs, spec.network.precision]
    return hashlib.sha256(strict_json.encode(document).encode()).hexdigest()


def _make(
    key: str,
    spec: JobSpec,
    dataset: Dataset,
    artifacts: Artifacts,
    records: DatasetRecords,
    cache: Path,
    check: Callable[[], None],
) -> dict[str, Any]:
    """Build a preparation under a name that nobody else has, and record it; where another was first, theirs holds."""
    folder = f"datasets/{dataset.id}/prepared/{key[:32]}-{secrets.token_hex(8)}"
    try:
        build_arrays(spec, dataset, artifacts, folder, cache, check)
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
    if not all(artifacts.exists(f"{folder}/{name}") for name in FILES):
        return None
    try:
        found: dict[str, Any] = strict_json.decode(artifacts.read(f"{folder}/{TRANSFORM}"))
    except FileNotFoundError:
        return None
    return found
