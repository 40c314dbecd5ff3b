"""All memory that a network writes to in a step, allocated once. Knows the shapes and nothing of what is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from workers.mlp.activations import ACTIVATIONS
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array, Workspace, aligned


@dataclass(frozen=True)
class LayerBuffers:
    """One layer's net input, activation and delta, (…, samples, units), and its workspace.

    In a hidden layer whose f′ needs a alone, `a` is `z`: the activation is written over the net input.
    """

    z: Array
    a: Array
    delta: Array
    work: Workspace


@dataclass(frozen=True)
class SampleBuffers:
    """What is kept of each sample, (…, samples): its loss and weight, and whether its class was found."""

    loss: Array
    loss_float64: NDArray[np.float64]
    weight: Array
    weight_float64: NDArray[np.float64]
    answer: NDArray[np.intp]
    target: NDArray[np.intp]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Buffers:
    """Views for one number of samples."""

    layers: tuple[LayerBuffers, ...]
    samples: SampleBuffers


class Memory:
    """Memory for at most `rows` samples a network, and C-contiguous views of it for any smaller number."""

    def __init__(self, architecture: Architecture, rows: int, networks: tuple[int, ...]) -> None:
        self.rows = rows
        self._architecture = architecture
        self._networks = networks
        self._arrays: dict[str, NDArray[Any]] = {}
        self._views: dict[int, Buffers] = {}
        self.of(rows)

    def of(self, rows: int) -> Buffers:
        """Return the views for a number of samples.

        Raises: ValueError when it is more than there is memory for.
        """
        if rows not in self._views:
            if not 1 <= rows <= self.rows:
                raise ValueError(f"rows: {rows}; allowed: 1 to {self.rows}")
            layers = tuple(self._layer(index, rows) for index in range(len(self._architecture.layers)))
            self._views[rows] = Buffers(layers, self._samples(rows))
        return self._views[rows]

    def _layer(self, index: int, rows: int) -> LayerBuffers:
        layer = self._architecture.layers[index]
        is_output = index == len(self._architecture.layers) - 1
        z = self._view(f"z{index}", rows, layer.units)
        overwritten = not is_output and not ACTIVATIONS[layer.activation].keeps_z
        a = z if overwritten else self._view(f"a{index}", rows, layer.units)
        return LayerBuffers(z, a, self._view(f"delta{index}", rows, layer.units), self._workspace(rows, layer.units))

    def _workspace(self, rows: int, units: int) -> Workspace:
        widest = max(self._architecture.sizes[1:])
        first, second, third = (self._view(f"plane{plane}", rows, units, widest) for plane in range(3))
        return Workspace(first, second, third, self._view("column0", rows, 1), self._view("column1", rows, 1))

    def _samples(self, rows: int) -> SampleBuffers:
        def view(name: str, dtype: DTypeLike | None = None) -> NDArray[Any]:
            return self._view(name, rows, 1, dtype=dtype)[..., 0]

        return SampleBuffers(
            loss=view("loss"),
            loss_float64=view("loss_float64", np.float64),
            weight=view("weight"),
            weight_float64=view("weight_float64", np.float64),
            answer=view("answer", np.intp),
            target=view("target", np.intp),
            right=view("right", np.bool_),
        )

    def _view(self, name: str, rows: int, units: int, most: int = 0, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """Return (…, rows, units) of the memory of that name, made on first use for all rows and the `most` units."""
        networks = math.prod(self._networks)
        if name not in self._arrays:
            self._arrays[name] = aligned(networks * self.rows * max(units, most), dtype or self._architecture.dtype)
        return self._arrays[name][: networks * rows * units].reshape(*self._networks, rows, units)
