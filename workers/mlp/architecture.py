"""The shape of a network. Knows no weights, and no user: `service.resolution` refuses bad specs by their fields."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from workers.mlp.activations import find_activation
from workers.mlp.choices import Choice, name_of
from workers.mlp.losses import find_loss, minimum_outputs
from workers.mlp.normalizations import NORMALIZATIONS, Normalization


@dataclass(frozen=True)
class LayerShape:
    """One layer of units: z, then its normalisation, its activation and, in training, dropout."""

    units: int
    activation: Choice
    normalization: Literal["none", "batch", "layer"] = "none"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"units: {self.units}; allowed: 1 or more")
        find_activation(self.activation)
        if self.normalization not in ("none", *NORMALIZATIONS):
            allowed = ", ".join(("none", *NORMALIZATIONS))
            raise ValueError(f"normalization: {self.normalization!r}; allowed: {allowed}")
        check_rate("dropout", self.dropout)

    @property
    def normalizer(self) -> Normalization | None:
        """Its normalisation, if it has one."""
        return NORMALIZATIONS.get(self.normalization)

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of what is trained in it beside W and b, (units,) each, in order."""
        return (*(self.normalizer.learned if self.normalizer else ()), *find_activation(self.activation).learned)

    @property
    def running(self) -> tuple[str, ...]:
        """The names of its running statistics, (units,) each, in order."""
        return self.normalizer.running if self.normalizer else ()


@dataclass(frozen=True)
class Architecture:
    """All that the mathematics must know of a network: its layers, the last of them the output, and its loss."""

    inputs: int
    layers: tuple[LayerShape, ...]
    loss: Choice
    bias: bool = True
    precision: Literal["float32", "float64"] = "float32"
    input_dropout: float = 0.0
    labels: bool = False  # each output is a label of its own, and a sample is right where all of them are

    def __post_init__(self) -> None:
        if self.inputs < 1:
            raise ValueError(f"inputs: {self.inputs}; allowed: 1 or more")
        if not self.layers:
            raise ValueError("layers: none; allowed: at least the output layer")
        if self.precision not in ("float32", "float64"):
            raise ValueError(f"precision: {self.precision!r}; allowed: float32, float64")
        check_rate("input_dropout", self.input_dropout)
        output = self.layers[-1]
        if output.normalization != "none" or output.dropout:
            raise ValueError("output layer: normalised or dropped out; allowed: neither")
        find_loss(self.loss, output.activation)
        least = minimum_outputs(self.loss, output.activation)
        if output.units < least:
            pair = f"{name_of(self.loss)} on {name_of(output.activation)}"
            raise ValueError(f"output units: {output.units} with {pair}; allowed: {least} or more")

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision as NumPy has it."""
        return np.dtype(np.float32 if self.precision == "float32" else np.float64)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, then the units of each layer."""
        return (self.inputs, *(layer.units for layer in self.layers))

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """The share of the inputs that is dropped, then that of each layer's units."""
        return (self.input_dropout, *(layer.dropout for layer in self.layers))

    @property
    def outputs(self) -> int:
        """The units of the output layer."""
        return self.layers[-1].units

    @property
    def parameter_count(self) -> int:
        """How many numbers are trained: all weights and, with bias, one more a unit; what a layer learns beside."""
        joined = sum((below + self.bias) * units for below, units in pairwise(self.sizes))
        return joined + sum(len(layer.learned) * layer.units for layer in self.layers)


def check_rate(name: str, rate: float) -> None:
    """Hold a dropout rate against its bounds. Raises: ValueError."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}: {rate}; allowed: 0 or more, below 1")
