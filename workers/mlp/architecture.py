"""The shape of a network. Knows no weights, and no user: `service.resolution` refuses bad specs by their fields."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from workers.mlp.activations import ACTIVATIONS
from workers.mlp.losses import find_loss, minimum_outputs


@dataclass(frozen=True)
class LayerShape:
    """One layer of units, and the activation of their net inputs."""

    units: int
    activation: str

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"units: {self.units}; allowed: 1 or more")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: {self.activation!r}; allowed: {', '.join(ACTIVATIONS)}")


@dataclass(frozen=True)
class Architecture:
    """All that the mathematics must know of a network: its layers, the last of them the output, and its loss."""

    inputs: int
    layers: tuple[LayerShape, ...]
    loss: str
    bias: bool = True
    precision: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        if self.inputs < 1:
            raise ValueError(f"inputs: {self.inputs}; allowed: 1 or more")
        if not self.layers:
            raise ValueError("layers: none; allowed: at least the output layer")
        if self.precision not in ("float32", "float64"):
            raise ValueError(f"precision: {self.precision!r}; allowed: float32, float64")
        output = self.layers[-1]
        find_loss(self.loss, output.activation)
        least = minimum_outputs(self.loss, output.activation)
        if output.units < least:
            pair = f"{self.loss} on {output.activation}"
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
    def outputs(self) -> int:
        """The units of the output layer."""
        return self.layers[-1].units

    @property
    def parameter_count(self) -> int:
        """How many numbers are trained: all weights and, with bias, one more a unit."""
        return sum((below + self.bias) * units for below, units in pairwise(self.sizes))
