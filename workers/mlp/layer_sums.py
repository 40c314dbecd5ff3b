"""What a layer did over some samples, for people to look at: how large its deltas are, which of its units say nothing.

Knows no weights and changes nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.mlp.activations import Activation, Elementwise
from workers.mlp.buffers import LayerBuffers

FLAT = 0.01  # an |f′| below it lets hardly any of a delta through


class LayerSums(NamedTuple):
    """Sums over samples: of ‖delta‖², of the units on whose f′ no delta passes; and which units ever put out anything.

    `finite` says whether all net inputs and outputs were numbers.
    Shapes: `alive` (…, units); of a population, an array of shape `networks` stands for each number.
    """

    rows: int
    delta_squares: float
    flat: float
    alive: NDArray[np.bool_]
    finite: bool

    def plus(self, other: LayerSums) -> LayerSums:
        """Return the sums over both."""
        return LayerSums(
            self.rows + other.rows,
            self.delta_squares + other.delta_squares,
            self.flat + other.flat,
            self.alive | other.alive,
            self.finite & other.finite,
        )

    def member(self, network: int) -> LayerSums:
        """Return those of one network of a population."""
        of_all: tuple[Any, ...] = (self.delta_squares, self.flat, self.alive, self.finite)
        found: list[Any] = [each[network] for each in of_all]
        return LayerSums(self.rows, *found)

    @property
    def delta_norm(self) -> Any:
        """The root mean square, over the samples, of ‖delta‖."""
        return np.sqrt(self.delta_squares / self.rows)

    @property
    def dead_fraction(self) -> Any:
        """The share of units whose output was 0 for every sample."""
        return 1 - self.alive.mean(axis=-1)

    @property
    def saturated_fraction(self) -> Any:
        """The share of all (sample, unit) whose |f′(z)| is below 0.01."""
        return self.flat / (self.rows * self.alive.shape[-1])


def observe_layer(layer: LayerBuffers, activation: Activation, *, backward: bool) -> LayerSums:
    """Add up what the last pass left in a layer's buffers; its first plane is used up."""
    derivative = layer.work.first
    networks = layer.z.shape[:-2]
    flat: Any = np.zeros(networks)[()]
    if isinstance(activation, Elementwise):
        activation.derivative(layer.z, layer.a, derivative, layer.work)
        flat = np.count_nonzero(np.abs(derivative, out=derivative) < FLAT, axis=(-2, -1)).astype(np.float64)
    squares: Any = np.zeros(networks)[()]
    if backward:
        np.multiply(layer.delta, layer.delta, out=derivative)
        squares = derivative.sum(axis=(-2, -1)).astype(np.float64)
    finite: Any = np.isfinite(layer.z).all(axis=(-2, -1))
    if layer.a is not layer.z:
        finite = finite & np.isfinite(layer.a).all(axis=(-2, -1))
    return LayerSums(
        layer.z.shape[-2],
        squares,
        flat,
        np.asarray(layer.a.any(axis=-2)),
        finite,
    )
