"""The arrays of a plan, built from its data sets' columns into a folder of files. Knows no record of them.

The split comes first, then every scale is fitted on the training part in float64, and each column is written in the
job's precision. Whoever asked is asked back between the pieces: it may take minutes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service import strict_json
from service.artifacts import Artifacts
from service.errors import StoreUnavailable
from service.features import UNSEEN, Numeric, OneHot
from service.fitting import fit_levels, fit_numeric, fit_target
from service.partition import Partition
from service.preparation_plan import Plan
from service.raw_columns import answers, feature_values, level_numbers, numbers, raw_values, read_table
from service.resolution.matching import check_match, needs_of_model
from service.row_weights import train_weights, validation_weights
from service.splitting import split
from service.transform import Transform, unseen_warning

TRANSFORM = "transform.json"
_SCRATCH = ".preparing-"
_ABANDONED_S = 3600.0


@dataclass(frozen=True)
class _Source:
    """A table, and which of its rows make which part."""

    table: pa.Table
    parts: Mapping[str, NDArray[np.int64]]


def build_arrays(plan: Plan, artifacts: Artifacts, folder: str, cache: Path, check: Callable[[], None]) -> None:
    """Write the arrays to `folder` of the artifact store, and last the transform with its warnings.

    `cache` has room for them on this machine; `check` is called before each piece of the work.
    Raises: DataMissing when a data set's columns are gone; UnusableData when no row of a part weighs anything;
    InvalidSpec when the data set has not what a given transform takes; StoreUnavailable, also for a full `cache`.
    """
    check()
    given = _given(plan)
    table = read_table(plan.dataset, artifacts, _names(plan))
    parts = split(plan, table)
    transform = _fit(plan, table, parts, check) if given is None else given
    sources = _sources(plan, table, parts, artifacts)
    with _scratch(cache) as scratch:
        warnings = _training_warnings(transform, table, parts)
        warnings += _write_arrays(scratch, sources, transform, check)
        _write_weights(scratch, plan, sources, transform)
        written = sorted(scratch.iterdir())
        for path in written:
            check()
            artifacts.write(f"{folder}/{path.name}", path)
    arrays = [path.stem for path in written]
    document = {"transform": transform.to_json(), "warnings": warnings, "arrays": arrays}
    artifacts.write(f"{folder}/{TRANSFORM}", strict_json.encode(document).encode())


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A folder in `cache` that goes at the end. Raises: StoreUnavailable when there is no room in it."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(cache)
        with tempfile.TemporaryDirectory(dir=cache, prefix=_SCRATCH) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise StoreUnavailable(f"the training data cannot be prepared in {cache}: {error}") from error


def _names(plan: Plan) -> list[str]:
    data = plan.spec.data
    columns = [column.name for column in (*plan.features, *plan.targets)]
    return [*columns, *(name for name in (data.sample_weight, data.order_by) if name is not None)]


def _given(plan: Plan) -> Transform | None:
    """The transform of a model, in the job's precision, where the data set has what it takes; None: it is fitted."""
    if plan.given is None:
        return None
    check_match(needs_of_model(plan.given), plan.spec.data.sample_weight, plan.dataset, "/dataset")
    return replace(plan.given, precision=plan.spec.network.precision, weight=plan.spec.data.sample_weight)


def _fit(plan: Plan, table: pa.Table, parts: Partition, check: Callable[[], None]) -> Transform:
    data = plan.spec.data
    features: list[Numeric | OneHot] = []
    for column in plan.features:
        check()
        if column.categorical:
            levels = level_numbers(table, column.name, column.kind, column.levels or ())
            features.append(fit_levels(column, levels[parts.train], data))
        else:
            features.append(fit_numeric(column, numbers(table, column.name)[parts.train], data))
    values = [numbers(table, each.name)[parts.train] for each in plan.targets] if plan.task == "regression" else []
    target = fit_target(plan.targets, values, plan.task, plan.outputs, data.scale_target)
    return Transform(tuple(features), target, plan.spec.network.precision, data.sample_weight)


def _sources(plan: Plan, table: pa.Table, parts: Partition, artifacts: Artifacts) -> list[_Source]:
    if plan.validation is None:
        return [_Source(table, {"train": parts.train, "validation": parts.validation})]
    other = read_table(plan.validation, artifacts, _names(plan))
    return [_Source(table, {"train": parts.train}), _Source(other, {"validation": np.arange(len(other))})]


def _write_arrays(
    folder: Path, sources: Sequence[_Source], transform: Transform, check: Callable[[], None]
) -> list[str]:
    """Fill the files column by column: one column in float64 is all that lies in memory beside the tables.

    Answers warnings of levels that the training data does not have.
    """
    warnings = []
    for source in sources:
        x, y = {}, {}
        for part, rows in source.parts.items():
            x[part] = _array(folder / f"x_{part}.npy", (len(rows), transform.inputs), transform)
            y[part] = _array(folder / f"y_{part}.npy", (len(rows), transform.target.outputs), transform)
        found = answers(source.table, transform.target)
        for part, rows in source.parts.items():
            transform.target.encode([values[rows] for values in found], y[part])
        start = 0
        for feature in transform.features:
            check()
            values = feature_values(source.table, feature)
            for part, rows in source.parts.items():
                feature.encode(values[rows], x[part][:, start : start + feature.width])
            start += feature.width
            if isinstance(feature, OneHot):
                warnings += unseen(source.table, feature, values)
    return warnings


def unseen(table: pa.Table, feature: OneHot, values: NDArray[Any]) -> list[str]:
    """A warning where a column has levels that the training data did not have."""
    rows = np.flatnonzero(values == UNSEEN)
    return [unseen_warning(feature.name, raw_values(table, feature.name, rows))] if len(rows) else []


def _write_weights(folder: Path, plan: Plan, sources: Sequence[_Source], transform: Transform) -> None:
    """Write the rows' weights, of each part that has some."""
    weigh = {"train": train_weights, "validation": validation_weights}
    for source in sources:
        for part, rows in source.parts.items():
            weights = weigh[part](plan, source.table, transform, rows)
            if weights is not None:
                _array(folder / f"w_{part}.npy", (len(rows),), transform)[...] = weights


def _array(path: Path, shape: tuple[int, ...], transform: Transform) -> NDArray[Any]:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(transform.precision), shape=shape)
    with path.open("r+b") as file:  # its room is taken now: a mapped file that finds none later kills the process
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _training_warnings(transform: Transform, table: pa.Table, parts: Partition) -> list[str]:
    """What the split left out of the training part."""
    if not transform.target.holds_classes:
        return []
    found = []
    for column, values in zip(transform.target.columns, answers(table, transform.target), strict=True):
        absent = sorted(set(range(len(column.classes))) - set(np.unique(values[parts.train]).tolist()))
        if absent:
            named = ", ".join(repr(column.classes[number]) for number in absent[:10])
            found.append(f"{len(absent)} class(es) of target {column.name!r} have no row in training: {named}")
    return found


def _sweep(cache: Path) -> None:
    """Remove what a killed process left behind an hour ago or more."""
    for folder in cache.glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)
