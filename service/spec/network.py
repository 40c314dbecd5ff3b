"""The shape of the network, and what is computed in it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from service.spec.base import Spec
from service.spec.choices import one_of
from workers.mlp.activations import ACTIVATIONS
from workers.mlp.choices import Choice
from workers.mlp.initializers import INITIALIZERS
from workers.mlp.losses import LOSSES

HIDDEN: Final = {name: kind for name, kind in ACTIVATIONS.items() if kind.hidden}

HiddenActivation = Annotated[Choice, one_of("HiddenActivation", HIDDEN)]
OutputActivation = Annotated[Choice, one_of("OutputActivation", ACTIVATIONS, ["auto"])]
Loss = Annotated[Choice, one_of("Loss", LOSSES, ["auto"])]
InitializerChoice = Annotated[Choice, one_of("Initializer", INITIALIZERS, ["auto"])]
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
    output_activation: OutputActivation = "auto"
    bias: bool = True
    initializer: InitializerChoice = "auto"
    precision: Precision = "float32"
    dropout: Rate = 0.0  # of each hidden layer's units
    input_dropout: Rate = 0.0
    normalization: Normalization = "none"  # of each hidden layer's net inputs
