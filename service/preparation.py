"""From a data set and a resolved spec to the arrays that training reads. Knows no network and no cluster.

Split and transform come from (data, data spec, split_seed) alone, are fitted once on the training part in float64, and
are stored: whoever comes second reads what the first one recorded, so that every worker, attempt and job of the same
preparation sees the same bits. Two that build at once write under names of their own; Redis keeps the first.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet

from service import strict_json
from service.artifacts import Artifacts
from service.dataset_records import DatasetRecords
from service.datasets import Column, Dataset, Task
from service.errors import DataMissing, DatasetNotFound, StoreUnavailable
from service.features import Numeric, OneHot
from service.partition import Partition, part_rows, partition
from service.resolution import output_units
from service.spec import JobSpec
from service.transform import Target, Transform
from workers.datafiles import DataFiles, MappedData

FORMAT = 1  # of what is stored; another one is another preparation
_SCRATCH = ".preparing-"
_ABANDONED_S = 3600.0


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
    try:
        reference = records.prepared(dataset.id, key)
        if reference is None:
            reference = _make(key, spec, dataset, artifacts, records, cache, check)
        found = strict_json.decode(artifacts.read(f"{reference['folder']}/transform.json"))
    except (FileNotFoundError, DatasetNotFound) as gone:
        hint = "Upload it again and submit the job's spec for the new data set."
        raise DataMissing(f"data set {dataset.id} ({dataset.name!r}) is gone", hint=hint) from gone
    files = DataFiles(artifacts.url, reference["folder"], str(cache))
    return PreparedData(files, Transform.from_json(found["transform"]), found["warnings"])


def preparation_key(spec: JobSpec, dataset: Dataset) -> str:
    """The name of a preparation: a digest of the data and of every field that changes a bit of its arrays."""
    target = _column(dataset, spec.data.target)
    outputs = output_units(_task(spec), spec.loss, spec.network.output_activation, target.distinct)
    data = spec.data.model_dump(mode="json")
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
        _build(spec, dataset, artifacts, folder, cache, check)
    except BaseException:
        with suppress(StoreUnavailable):  # what stays is swept later
            artifacts.delete_folder(folder)
        raise
    try:
        reference = records.record_prepared(dataset.id, key, {"format": FORMAT, "folder": folder})
    except DatasetNotFound:
        artifacts.delete_folder(folder)
        raise
    if reference["folder"] != folder:
        artifacts.delete_folder(folder)
    return reference


def _build(
    spec: JobSpec, dataset: Dataset, artifacts: Artifacts, folder: str, cache: Path, check: Callable[[], None]
) -> None:
    check()
    target = _column(dataset, spec.data.target)
    features = [_column(dataset, name) for name in spec.data.features or ()]
    table = _read(dataset, artifacts, [target.name, *(feature.name for feature in features)])
    task = _task(spec)
    answers = _values(table, target, as_levels=task != "regression")
    parts = _parts(spec, dataset, target, answers)
    fits = []
    for feature in features:
        check()
        fits.append(_fit(table, feature, parts, spec.data.scale))
    transform = Transform(
        features=tuple(fits),
        target=_fit_target(spec, target, answers[parts.train]),
        precision=spec.network.precision,
    )
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(cache)
    with tempfile.TemporaryDirectory(dir=cache, prefix=_SCRATCH) as scratch:
        _write_arrays(Path(scratch), table, features, answers, parts, transform, check)
        for path in sorted(Path(scratch).iterdir()):
            check()
            artifacts.write(f"{folder}/{path.name}", path)
    document = {"transform": transform.to_json(), "warnings": _warnings(transform, answers, parts)}
    artifacts.write(f"{folder}/transform.json", strict_json.encode(document).encode())


def _read(dataset: Dataset, artifacts: Artifacts, names: Sequence[str]) -> pa.Table:
    with artifacts.open(dataset.path) as file:
        return parquet.ParquetFile(file).read(columns=list(names), use_threads=False)


def _column(dataset: Dataset, name: str | None) -> Column:
    column = dataset.column(name or "")
    assert column is not None  # a resolved spec names columns that are there
    return column


def _values(table: pa.Table, column: Column, *, as_levels: bool) -> NDArray[Any]:
    """A column as numbers: the number of each row's level, or the value itself in float64.

    Shapes: (rows,).
    """
    stored = table.column(column.name)
    if as_levels:
        levels = pa.array(list(column.levels or ()), type=stored.type)
        return np.asarray(pc.index_in(stored, value_set=levels).to_numpy(), np.int64)
    return np.asarray(stored.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def _parts(spec: JobSpec, dataset: Dataset, target: Column, answers: NDArray[Any]) -> Partition:
    _, validation_rows = part_rows(dataset.rows, spec.data, target)
    return partition(dataset.rows, validation_rows, spec.data.split_seed, answers if spec.data.stratify else None)


def _fit(table: pa.Table, feature: Column, parts: Partition, scale: str) -> Numeric | OneHot:
    if feature.categorical:
        return OneHot(feature.name, feature.kind, feature.levels or ())
    return Numeric(feature.name, *fit_scale(_values(table, feature, as_levels=False)[parts.train], scale))


def fit_scale(values: NDArray[np.float64], scale: str) -> tuple[float, float]:
    """Shift and scale of a column's training part; one value alone keeps scale 1.

    Shapes: values (rows,).
    """
    if scale == "none":
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if low == high:  # its computed deviation need not be 0
        return low, 1.0
    shift, width = (float(values.mean()), float(values.std())) if scale == "standard" else (low, high - low)
    return shift, width or 1.0


def _fit_target(spec: JobSpec, target: Column, answers: NDArray[Any]) -> Target:
    task = _task(spec)
    outputs = output_units(task, spec.loss, spec.network.output_activation, target.distinct)
    if task != "regression":
        return Target(target.name, target.kind, task, outputs, classes=target.levels or ())
    shift, scale = fit_scale(answers, spec.data.scale_target)
    return Target(target.name, target.kind, task, outputs, shift=shift, scale=scale)


def _task(spec: JobSpec) -> Task:
    assert spec.data.task != "auto"  # it is resolved
    return spec.data.task


def _write_arrays(
    folder: Path,
    table: pa.Table,
    features: Sequence[Column],
    answers: NDArray[Any],
    parts: Partition,
    transform: Transform,
    check: Callable[[], None],
) -> None:
    """Fill the files column by column: one column in float64 is all that lies in memory beside the table."""
    rows = {"train": parts.train, "validation": parts.validation}
    x = {part: _array(folder / f"x_{part}.npy", len(rows[part]), transform.inputs, transform) for part in rows}
    y = {part: _array(folder / f"y_{part}.npy", len(rows[part]), transform.target.outputs, transform) for part in rows}
    for part in rows:
        transform.target.encode(answers[rows[part]], y[part])
    start = 0
    for column, feature in zip(features, transform.features, strict=True):
        check()
        values = _values(table, column, as_levels=column.categorical)
        for part in rows:
            feature.encode(values[rows[part]], x[part][:, start : start + feature.width])
        start += feature.width


def _array(path: Path, rows: int, width: int, transform: Transform) -> NDArray[Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(transform.precision), shape=(rows, width))


def _warnings(transform: Transform, answers: NDArray[Any], parts: Partition) -> list[str]:
    """What the split left out of the training part."""
    found = []
    classes = transform.target.classes
    unseen = sorted(set(range(len(classes))) - set(np.unique(answers[parts.train]).tolist())) if classes else []
    if unseen:
        named = ", ".join(repr(classes[number]) for number in unseen[:10])
        found.append(f"{len(unseen)} class(es) of target {transform.target.name!r} have no row in training: {named}")
    return found


def _sweep(cache: Path) -> None:
    """Remove what a killed process left behind an hour ago or more."""
    for folder in cache.glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)
