"""Each activation f(z) as ONNX operators: the formulas of `workers.mlp.activations`. Know no layer and no weights.

They are made of plain operators, since ONNX Runtime has Elu, Selu, Softplus and others in single precision alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from service.onnx_export.graph import Tensor
from workers.mlp.activations import Activation, Identity, Relu, Sigmoid, Softmax, Tanh

Learned = Mapping[str, Tensor]


@singledispatch
def apply(f: Activation, z: Tensor, learned: Learned) -> Tensor:
    """Return f(z); `learned` are the layer's own arrays, (units,) each.

    Raises: NotImplementedError for an activation that has no formula here.
    """
    raise NotImplementedError(f"activation {f.name!r} has no formula in ONNX")


@apply.register
def _identity(f: Identity, z: Tensor, learned: Learned) -> Tensor:
    return z


@apply.register
def _sigmoid(f: Sigmoid, z: Tensor, learned: Learned) -> Tensor:
    return z.graph.op("Sigmoid", z)


@apply.register
def _tanh(f: Tanh, z: Tensor, learned: Learned) -> Tensor:
    return z.graph.op("Tanh", z)


@apply.register
def _relu(f: Relu, z: Tensor, learned: Learned) -> Tensor:
    return z.graph.op("Relu", z)


@apply.register
def _softmax(f: Softmax, z: Tensor, learned: Learned) -> Tensor:
    return z.graph.op("Softmax", z, axis=-1)
