"""Raw columns → a network's inputs, as `service.features` computes them. Knows no network.

Each column is an input of its own, (rows, 1): numbers as double, levels as they were uploaded (text, int64, double or
bool). What is missing is NaN, or text that is empty; so levels that are whole numbers or truth values are double where
they may be missing. All is computed in double and cast once: seconds since 1970 do not fit into single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.features import Numeric, OneHot
from service.onnx_export.graph import Graph, Tensor

TYPES = {"text": np.dtype(np.str_), "integer": np.dtype(np.int64), "float": np.dtype(float), "boolean": np.dtype(bool)}
NO_TEXT = ("", "NA")  # the first that is no level stands for a missing value


def encode(graph: Graph, features: Sequence[Numeric | OneHot], precision: str) -> Tensor:
    """Declare the columns in their order, and return what the network takes. Shapes: (rows, inputs)."""
    values = graph.concat(
        [numbers(graph, each) if isinstance(each, Numeric) else hot(graph, each) for each in features]
    )
    shift = graph.constant(np.array([number for each in features for number in shifts(each)]))
    scale = graph.constant(np.array([number for each in features for number in scales(each)]))
    return ((values - shift) / scale).cast(precision)


def numbers(graph: Graph, column: Numeric) -> Tensor:
    """Return a column's values as they are, filled where missing, with the indicator beside them if it has one."""
    value = graph.input(column.name, np.float64)
    if column.fill is None:
        return value
    missing = graph.op("IsNaN", value, dtype=bool)
    filled = graph.where(missing, column.fill, value)
    return graph.concat([filled, missing.cast(np.float64)]) if column.indicator else filled


def hot(graph: Graph, column: OneHot) -> Tensor:
    """Return 1 at the value's own level and 0 elsewhere; a missing value is at the level that it is taken for."""
    kind = level_type(column)
    nothing: Any = no_level(column) if kind.kind == "U" else np.nan
    value = graph.input(column.name, kind)
    known = graph.constant(np.array([[*column.levels, *[nothing] * column.indicator]], kind))
    own = graph.op("Equal", value, known, dtype=bool).cast(np.float64)
    if column.fill is None:
        return own
    taken_for = graph.constant(np.eye(1, column.width, column.fill))
    return graph.where(_is_missing(value, nothing), taken_for, own)


def _is_missing(value: Tensor, nothing: Any) -> Tensor:
    graph = value.graph
    if value.dtype.kind == "U":
        return graph.op("Equal", value, graph.constant(np.array([nothing])), dtype=bool)
    return graph.op("IsNaN", value, dtype=bool)


def level_type(column: OneHot) -> np.dtype[Any]:
    """Return the type in which the column's values come: their own, or one that has a missing value."""
    kind = TYPES[column.kind]
    return kind if column.fill is None or kind.kind == "U" else np.dtype(float)


def no_level(column: OneHot) -> str:
    """Return the text that stands for a missing value."""
    return next(text for text in NO_TEXT if text not in column.levels)


def shifts(feature: Numeric | OneHot) -> list[float]:
    """Return what is taken from each of a column's inputs."""
    return [feature.shift, *[0.0] * feature.indicator] if isinstance(feature, Numeric) else [0.0] * feature.width


def scales(feature: Numeric | OneHot) -> list[float]:
    """Return by what each of a column's inputs is divided."""
    return [feature.scale, *[1.0] * feature.indicator] if isinstance(feature, Numeric) else [1.0] * feature.width
