"""A graph of ONNX operators, written as formulas: `z * sigmoid(z)`. Knows no model and no column.

Only operators of the default domain are used, and of those only such as ONNX Runtime has for both precisions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 19  # the first whose Equal compares text
IR_VERSION = 9  # the one that came with it: the oldest runtimes that can run the file shall read it
ROWS = "rows"

Shape = tuple[int | str, ...]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in a graph; arithmetic with it adds an operator."""

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def __add__(self, other: Tensor | float) -> Tensor:
        return self.graph.op("Add", self, other)

    def __sub__(self, other: Tensor | float) -> Tensor:
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: Tensor | float) -> Tensor:
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: Tensor | float) -> Tensor:
        return self.graph.op("Div", self, other)

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.graph.op("MatMul", self, other)

    def __neg__(self) -> Tensor:
        return self.graph.op("Neg", self)

    def __rsub__(self, other: float) -> Tensor:
        return self.graph.constant(np.asarray(other, self.dtype)) - self

    def __gt__(self, other: Tensor | float) -> Tensor:
        return self.graph.op("Greater", self, other, dtype=bool)

    def cast(self, dtype: DTypeLike) -> Tensor:
        """Return it in another type."""
        to = np.dtype(dtype)
        return self if to == self.dtype else self.graph.op("Cast", self, dtype=to, to=element_type(to))


class Graph:
    """Operators in the order in which they were added, their constants, and what goes in and out."""

    def __init__(self, taken: Collection[str]) -> None:
        self._prefix = "deltaq/"  # `taken` are the names of inputs and outputs, which are the user's
        while any(name.startswith(self._prefix) for name in taken):
            self._prefix += "/"
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []

    def op(
        self, kind: str, first: Tensor, *others: Tensor | float, dtype: DTypeLike | None = None, **attributes: Any
    ) -> Tensor:
        """Add an operator and return its output, which has the first input's type unless `dtype` is given."""
        operands = [other if isinstance(other, Tensor) else self.scalar(other, first.dtype) for other in others]
        name = f"{self._prefix}{kind}{len(self._nodes)}"
        inputs = [first.name, *(operand.name for operand in operands)]
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return Tensor(self, name, first.dtype if dtype is None else np.dtype(dtype))

    def constant(self, array: NDArray[Any], name: str | None = None) -> Tensor:
        """Add a constant, by the name of a model's array or by a number."""
        name = f"{self._prefix}{name or f'constant{len(self._constants)}'}"
        values = np.asarray(array, object) if array.dtype.kind == "U" else np.ascontiguousarray(array)
        self._constants.append(numpy_helper.from_array(values, name))
        return Tensor(self, name, array.dtype)

    def scalar(self, value: float, dtype: DTypeLike) -> Tensor:
        """Add a constant of one number."""
        return self.constant(np.asarray(value, dtype))

    def concat(self, tensors: list[Tensor]) -> Tensor:
        """Set tensors (rows, …) side by side."""
        return tensors[0] if len(tensors) == 1 else self.op("Concat", *tensors, axis=1)

    def where(self, condition: Tensor, yes: Tensor | float, no: Tensor) -> Tensor:
        """Choose by a truth value."""
        chosen = yes if isinstance(yes, Tensor) else self.scalar(yes, no.dtype)
        return self.op("Where", condition, chosen, no, dtype=no.dtype)

    def input(self, name: str, dtype: DTypeLike) -> Tensor:
        """Declare a column, (rows, 1)."""
        found = Tensor(self, name, np.dtype(dtype))
        self._inputs.append(helper.make_tensor_value_info(name, element_type(found.dtype), [ROWS, 1]))
        return found

    def output(self, name: str, tensor: Tensor, *shape: int) -> None:
        """Declare what is answered, (rows, …)."""
        self._nodes.append(helper.make_node("Identity", [tensor.name], [name], name=f"{self._prefix}{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, element_type(tensor.dtype), [ROWS, *shape]))

    def model(self, name: str, producer_version: str, metadata: Mapping[str, str]) -> ModelProto:
        """Return the graph as a model that carries metadata."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="deltaq",
            producer_version=producer_version,
        )
        helper.set_model_props(model, dict(metadata))
        return model


def element_type(dtype: np.dtype[Any]) -> int:
    """Return ONNX's number of a type; text is one of its own."""
    return TensorProto.STRING if dtype.kind == "U" else helper.np_dtype_to_tensor_dtype(dtype)
