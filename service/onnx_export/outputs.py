"""A network's outputs → predictions, as `service.targets` decodes them, numbers in double. Knows no network.

regression   value (rows,), in the target's own units; values (rows, targets) of several
classes      label (rows,), as it was uploaded; probabilities (rows, classes), in the order of the classes
multilabel   labels (rows, targets); probabilities (rows, targets), each of its target's second class
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.datasets import label_text
from service.onnx_export.graph import Graph, Tensor
from service.onnx_export.inputs import TYPES
from service.targets import Target, TargetColumn
from workers.mlp.losses import Loss

NAMES = ("value", "values", "label", "labels", "probabilities", "scores")


def decode(graph: Graph, outputs: Tensor, target: Target, loss: type[Loss], names: Mapping[str, str]) -> None:
    """Declare what the target's predictions are made of. Shapes: outputs (rows, outputs)."""
    found = outputs.cast(np.float64)
    match target.task:
        case "regression":
            _values(graph, found * graph.constant(target.scale) + graph.constant(target.shift), target, names)
        case "multilabel":
            _labels(graph, found, target, names)
        case _:
            _classes(graph, found, target, loss, names)


def _values(graph: Graph, values: Tensor, target: Target, names: Mapping[str, str]) -> None:
    if len(target.columns) == 1:
        graph.output(names["value"], _flat(values))
    else:
        graph.output(names["values"], values, len(target.columns))


def _labels(graph: Graph, outputs: Tensor, target: Target, names: Mapping[str, str]) -> None:
    """A target's two labels stand one after the other in the table, so that its row begins at twice its number."""
    count = len(target.columns)
    number = (outputs > 0.5).cast(np.int64) + graph.constant(2 * np.arange(count))
    graph.output(names["labels"], graph.op("Gather", graph.constant(label_table(target.columns)), number), count)
    graph.output(names["probabilities"], graph.op("Clip", outputs, 0.0, 1.0), count)


def _classes(graph: Graph, outputs: Tensor, target: Target, loss: type[Loss], names: Mapping[str, str]) -> None:
    labels = graph.constant(label_table(target.columns))
    graph.output(names["label"], graph.op("Gather", labels, _chosen(outputs, target.outputs, loss.threshold)))
    word, each = ("probabilities", _probabilities) if loss.probabilities else ("scores", _scores)
    graph.output(names[word], each(graph, outputs, target.outputs), len(target.classes))


def label_table(columns: tuple[TargetColumn, ...]) -> NDArray[Any]:
    """Return the labels of all columns, in their own type where it is one, else as text."""
    kinds = {column.kind for column in columns}
    labels = [label for column in columns for label in column.classes]
    return np.array(labels, TYPES[kinds.pop()]) if len(kinds) == 1 else np.array([label_text(one) for one in labels])


def _chosen(outputs: Tensor, units: int, threshold: float) -> Tensor:
    if units == 1:
        return _flat((outputs > threshold).cast(np.int64))
    return outputs.graph.op("ArgMax", outputs, dtype=np.int64, axis=1, keepdims=0)


def _probabilities(graph: Graph, outputs: Tensor, units: int) -> Tensor:
    """One unit is the second class's probability; several are read as a distribution, even where all are 0."""
    inside = graph.op("Clip", outputs, 0.0, 1.0)
    if units == 1:
        return graph.concat([1 - inside, inside])
    total = graph.op("ReduceSum", inside, graph.constant(np.array([1])), keepdims=1)
    share = inside / graph.where(total > 0, total, graph.scalar(1, np.float64))
    return graph.where(total > 0, share, graph.constant(np.full((1, units), 1 / units)))


def _scores(graph: Graph, outputs: Tensor, units: int) -> Tensor:
    return graph.concat([-outputs, outputs]) if units == 1 else outputs


def _flat(column: Tensor) -> Tensor:
    return column.graph.op("Squeeze", column, column.graph.constant(np.array([1])))
