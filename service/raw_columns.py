"""The stored columns of a data set as numbers: values with NaN where they are missing, or numbers of levels.

Knows files and columns, and no job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet

from service.artifacts import Artifacts
from service.datasets import ColumnKind, Dataset, Label
from service.errors import DataMissing
from service.features import MISSING, UNSEEN, Numeric, OneHot
from service.targets import Target

_NUMBERS = ("integer", "float")


def read_table(dataset: Dataset, artifacts: Artifacts, names: Sequence[str]) -> pa.Table:
    """Some columns of a data set.

    Raises: DataMissing when its file is gone; StoreUnavailable.
    """
    try:
        source = artifacts.open(dataset.path)
    except FileNotFoundError as gone:
        raise data_missing(dataset) from gone
    with source as file:
        return parquet.ParquetFile(file).read(columns=list(dict.fromkeys(names)), use_threads=False)


def data_missing(dataset: Dataset) -> DataMissing:
    """The data set, or the file of its columns, is not there any more."""
    hint = "Upload it again and submit the job's spec for the new data set."
    return DataMissing(f"data set {dataset.id} ({dataset.name!r}) is gone", hint=hint)


def feature_values(table: pa.Table, feature: Numeric | OneHot) -> NDArray[Any]:
    """What a feature encodes of its column. Shapes: (rows,)."""
    if isinstance(feature, OneHot):
        return level_numbers(table, feature.name, feature.kind, feature.levels)
    return numbers(table, feature.name)


def answers(table: pa.Table, target: Target) -> list[NDArray[Any]]:
    """What a target encodes of each of its columns. Shapes: (rows,) each."""
    return [
        level_numbers(table, column.name, column.kind, column.classes)
        if target.holds_classes
        else numbers(table, column.name)
        for column in target.columns
    ]


def numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of numbers in float64, NaN where one is missing. Shapes: (rows,)."""
    return np.asarray(table.column(name).cast(pa.float64(), safe=False).to_numpy(), np.float64)


def level_numbers(table: pa.Table, name: str, kind: ColumnKind, levels: Sequence[Label]) -> NDArray[np.int64]:
    """The number of each row's level, UNSEEN or MISSING. Shapes: (rows,)."""
    stored: Any = table.column(name)
    missing = pc.is_null(stored).to_numpy()
    if missing.all():  # its type says nothing then
        return np.full(len(missing), MISSING, dtype=np.int64)
    values: list[Any] = list(levels)
    known: Any = pa.array(values, type=pa.float64()) if kind == "float" else pa.array(values)
    if kind in _NUMBERS and stored.type != known.type:
        stored, known = stored.cast(pa.float64(), safe=False), known.cast(pa.float64(), safe=False)
    found: Any = pc.index_in(stored, value_set=known)
    return np.where(missing, MISSING, found.fill_null(UNSEEN).to_numpy()).astype(np.int64)


def raw_values(table: pa.Table, name: str, rows: NDArray[np.int64]) -> list[Any]:
    """The values of some rows as they were uploaded."""
    found: list[Any] = table.column(name).take(rows).to_pylist()
    return found
