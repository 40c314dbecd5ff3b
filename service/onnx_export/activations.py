"""Each activation f(z) as ONNX operators: the formulas of `workers.mlp.activations`. Know no layer and no weights.

They are made of plain operators, since ONNX Runtime has Elu, Selu, Softplus and others in single precision alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import singledispatch

import numpy as np

from service.onnx_export.graph import Tensor
from workers.mlp.activations import (
    Activation,
    Elu,
    Exponential,
    Gelu,
    HardSigmoid,
    Identity,
    LeakyRelu,
    Mish,
    Prelu,
    Relu,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)

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
def _softmax(f: Softmax, z: Tensor, learned: Learned) -> Tensor:
    return z.graph.op("Softmax", z, axis=-1)


@apply.register
def _relu(f: Relu, z: Tensor, learned: Learned) -> Tensor:
    return above(z)


@apply.register
def _leaky_relu(f: LeakyRelu, z: Tensor, learned: Learned) -> Tensor:
    return z.graph.op("Max", z, z * f.slope)


@apply.register
def _prelu(f: Prelu, z: Tensor, learned: Learned) -> Tensor:
    return above(z) + below(z) * learned["slope"]


@apply.register(Elu)
@apply.register(Selu)
def _exponential_linear(f: Elu | Selu, z: Tensor, learned: Learned) -> Tensor:
    return above(z) * f.above + (exp(below(z)) - 1) * f.depth


@apply.register
def _hard_sigmoid(f: HardSigmoid, z: Tensor, learned: Learned) -> Tensor:
    return z.graph.op("Clip", z / 6 + 0.5, 0.0, 1.0)


@apply.register
def _exponential(f: Exponential, z: Tensor, learned: Learned) -> Tensor:
    return exp(z)


@apply.register
def _softplus(f: Softplus, z: Tensor, learned: Learned) -> Tensor:
    return softplus(z)


@apply.register
def _silu(f: Silu, z: Tensor, learned: Learned) -> Tensor:
    return z * z.graph.op("Sigmoid", z)


@apply.register
def _mish(f: Mish, z: Tensor, learned: Learned) -> Tensor:
    return z * z.graph.op("Tanh", softplus(z))


@apply.register
def _softsign(f: Softsign, z: Tensor, learned: Learned) -> Tensor:
    return z / (absolute(z) + 1)


@apply.register
def _gelu(f: Gelu, z: Tensor, learned: Learned) -> Tensor:
    erf = z.graph.op("Erf", (z / math.sqrt(2)).cast(np.float32)).cast(z.dtype)  # ONNX Runtime has no other
    return z * (erf + 1) / 2


def above(z: Tensor) -> Tensor:
    """Return max(z, 0)."""
    return z.graph.op("Relu", z)


def below(z: Tensor) -> Tensor:
    """Return min(z, 0)."""
    return z.graph.op("Min", z, 0.0)


def absolute(z: Tensor) -> Tensor:
    """Return |z|."""
    return z.graph.op("Abs", z)


def exp(z: Tensor) -> Tensor:
    """Return eᶻ."""
    return z.graph.op("Exp", z)


def softplus(z: Tensor) -> Tensor:
    """Return ln(1 + eᶻ), of which nothing overflows."""
    return above(z) + z.graph.op("Log", exp(-absolute(z)) + 1)
