"""The arrays of a resolved spec, built from a data set's columns into a folder of files. Knows no record of them.

The split comes first, then every scale is fitted on the training part in float64, and each column is written in the
job's precision. Whoever asked is asked back between the pieces: it may take minutes.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet

from service import strict_json
from service.artifacts import Artifacts
from service.datasets import Column, Dataset, Task
from service.errors import DataMissing
from service.features import Numeric, OneHot
from service.partition import Partition, part_rows, partition
from service.resolution import output_units
from service.spec import JobSpec
from service.transform import Target, Transform
from workers.datafiles import NAMES

TRANSFORM = "transform.json"
FILES = tuple(f"{name}.npy" for name in NAMES)
_SCRATCH = ".preparing-"
_ABANDONED_S = 3600.0


def build_arrays(
    spec: JobSpec, dataset: Dataset, artifacts: Artifacts, folder: str, cache: Path, check: Callable[[], None]
) -> None:
    """Write the four arrays to `folder` of the artifact store, and last the transform with its warnings.

    `cache` has room for them on this machine; `check` is called before each piece of the work.
    Raises: DataMissing when the data set's columns are gone; StoreUnavailable.
    """
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
        target=_fit_target(spec, target, output_width(spec, dataset), answers[parts.train]),
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
    artifacts.write(f"{folder}/{TRANSFORM}", strict_json.encode(document).encode())


def output_width(spec: JobSpec, dataset: Dataset) -> int:
    """How many outputs a resolved spec has."""
    target = _column(dataset, spec.data.target)
    return output_units(_task(spec), spec.loss, spec.network.output_activation, target.distinct)


def data_missing(dataset: Dataset) -> DataMissing:
    """The data set, or the file of its columns, is not there any more."""
    hint = "Upload it again and submit the job's spec for the new data set."
    return DataMissing(f"data set {dataset.id} ({dataset.name!r}) is gone", hint=hint)


def _read(dataset: Dataset, artifacts: Artifacts, names: Sequence[str]) -> pa.Table:
    try:
        source = artifacts.open(dataset.path)
    except FileNotFoundError as gone:
        raise data_missing(dataset) from gone
    with source as file:
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


def _fit_target(spec: JobSpec, target: Column, outputs: int, answers: NDArray[Any]) -> Target:
    task = _task(spec)
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
