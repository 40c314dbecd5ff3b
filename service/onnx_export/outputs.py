"""A network's outputs → predictions, as `service.transform.Target` decodes them, in double. Knows no network.

regression   value (rows,)         in the target's own units
classes      label (rows,)         as it was uploaded
             probabilities (rows, classes)   in the order of the classes
"""

from __future__ import annotations

import numpy as np

from service.onnx_export.graph import Graph, Tensor
from service.onnx_export.inputs import TYPES
from service.transform import Target

NAMES = ("value", "label", "probabilities")


def decode(graph: Graph, outputs: Tensor, target: Target, names: dict[str, str]) -> None:
    """Declare what the target's predictions are made of. Shapes: outputs (rows, outputs)."""
    found = outputs.cast(np.float64)
    if target.task == "regression":
        graph.output(names["value"], _flat(found * target.scale + target.shift))
        return
    labels = graph.constant(np.array(target.classes, TYPES[target.kind]))
    graph.output(names["label"], graph.op("Gather", labels, _chosen(found, target.outputs), axis=0))
    graph.output(names["probabilities"], _probabilities(found, target.outputs), len(target.classes))


def _chosen(outputs: Tensor, units: int) -> Tensor:
    if units == 1:
        return _flat((outputs > 0.5).cast(np.int64))
    return outputs.graph.op("ArgMax", outputs, axis=1, keepdims=0, dtype=np.int64)


def _probabilities(outputs: Tensor, units: int) -> Tensor:
    """One unit is the second class's probability; several are read as a distribution."""
    graph = outputs.graph
    inside = graph.op("Clip", outputs, 0.0, 1.0)
    if units == 1:
        return graph.concat([1 - inside, inside])
    total = graph.op("ReduceSum", inside, graph.constant(np.array([1])), keepdims=1)
    some = total > 0
    return graph.where(some, inside / graph.where(some, total, graph.scalar(1, np.float64)), _even(graph, units))


def _even(graph: Graph, units: int) -> Tensor:
    return graph.constant(np.full((1, units), 1 / units))


def _flat(column: Tensor) -> Tensor:
    return column.graph.op("Squeeze", column, column.graph.constant(np.array([1])))
