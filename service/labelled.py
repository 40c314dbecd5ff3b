"""A stored data set as a model takes it: inputs and targets encoded as in its training, and what each row weighs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.artifacts import Artifacts
from service.datasets import Dataset
from service.features import OneHot
from service.prepared_arrays import unseen
from service.raw_columns import answers, feature_values, numbers, read_table
from service.resolution.matching import check_match, needs_of_model
from service.transform import Transform


class Labelled(NamedTuple):
    """Shapes: x (rows, inputs), y (rows, outputs), both in the model's precision; weights (rows,) or None."""

    x: NDArray[np.floating]
    y: NDArray[np.floating]
    weights: NDArray[np.floating] | None
    warnings: list[str]


def labelled_arrays(transform: Transform, dataset: Dataset, artifacts: Artifacts) -> Labelled:
    """All rows of a data set, encoded as a model was trained; its sample weights where it has their column.

    Raises: InvalidSpec naming `/dataset` and the column that does not fit; DataMissing; StoreUnavailable.
    """
    weight, warnings = transform.weight, []
    if weight is not None and dataset.column(weight) is None:
        warnings.append(f"there is no column {weight!r}, whose weights the model was trained with: each row weighs 1")
        weight = None
    check_match(needs_of_model(transform), weight, dataset, "/dataset")
    names = [*(feature.name for feature in transform.features), *transform.target.names]
    table = read_table(dataset, artifacts, names if weight is None else [*names, weight])
    y = np.empty((dataset.rows, transform.target.outputs), transform.precision)
    transform.target.encode(answers(table, transform.target), y)
    x = _inputs(transform, table, warnings)
    weights = None if weight is None else numbers(table, weight).astype(transform.precision)
    return Labelled(x, y, weights, warnings)


def _inputs(transform: Transform, table: pa.Table, warnings: list[str]) -> NDArray[np.floating]:
    x = np.empty((len(table), transform.inputs), transform.precision)
    start = 0
    for feature in transform.features:
        values = feature_values(table, feature)
        feature.encode(values, x[:, start : start + feature.width])
        start += feature.width
        if isinstance(feature, OneHot):
            warnings += unseen(table, feature, values)
    return x
