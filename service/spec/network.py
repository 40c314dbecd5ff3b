"""The shape of the network, and what is computed in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.spec.base import Spec

Activation = Literal["identity", "sigmoid", "tanh", "relu", "softmax"]
HiddenActivation = Literal["identity", "sigmoid", "tanh", "relu"]
Loss = Literal["squared_error", "log_loss", "cross_entropy"]
Precision = Literal["float32", "float64"]

Units = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Normalization = Literal["none", "batch", "layer"]


class HiddenLayer(Spec):
    """One hidden layer that differs from the network's default."""

    units: Units
    activation: HiddenActivation | None = None  # None, here and below: the network's
    dropout: Rate | None = None
    normalization: Normalization | None = None


class NetworkSpec(Spec):
    """The shape of the multi-layer perceptron; no hidden layer is the single-layer delta rule."""

    hidden: Annotated[tuple[Units | HiddenLayer, ...], Field(strict=False, max_length=64, fail_fast=True)] = (64,)
    activation: HiddenActivation = "relu"
    output_activation: Literal["auto"] | Activation = "auto"
    bias: bool = True
    precision: Precision = "float32"
    dropout: Rate = 0.0  # of each hidden layer's units
    input_dropout: Rate = 0.0
    normalization: Normalization = "none"  # of each hidden layer's net inputs
