"""Raw columns → a network's inputs, as `service.features` computes them. Knows no network.

Each column is an input of its own, (rows, 1): numbers as double; levels as text, int64, double or bool, as they were
uploaded. All is computed in double and cast once: a time in seconds since 1970 does not fit into single precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.features import Numeric, OneHot
from service.onnx_export.graph import Graph, Tensor

TYPES = {"text": np.dtype(np.str_), "integer": np.dtype(np.int64), "float": np.dtype(float), "boolean": np.dtype(bool)}


def encode(graph: Graph, features: Sequence[Numeric | OneHot], precision: str) -> Tensor:
    """Declare the columns in their order, and return what the network takes: (value − shift) / scale, or levels.

    Shapes: (rows, inputs).
    """
    values = graph.concat([block(graph, feature) for feature in features])
    shift = np.concatenate([np.full(each.width, each.shift if isinstance(each, Numeric) else 0.0) for each in features])
    scale = np.concatenate([np.full(each.width, each.scale if isinstance(each, Numeric) else 1.0) for each in features])
    return ((values - graph.constant(shift)) / graph.constant(scale)).cast(precision)


def block(graph: Graph, feature: Numeric | OneHot) -> Tensor:
    """Return a column's value as it is, or 1 at its own level and 0 elsewhere. Shapes: (rows, width)."""
    if isinstance(feature, Numeric):
        return graph.input(feature.name, np.float64)
    kind = TYPES[feature.kind]
    levels = graph.constant(np.array([feature.levels], kind))
    return graph.op("Equal", graph.input(feature.name, kind), levels, dtype=bool).cast(np.float64)
