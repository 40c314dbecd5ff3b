"""All memory that a network writes to in a step, allocated once. Knows the shapes and nothing of what is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from workers.mlp.activations import find_activation
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array, Workspace, aligned
from workers.mlp.dropout import row_width
from workers.mlp.normalizations import Normalized


@dataclass(frozen=True)
class LayerBuffers:
    """One layer's net input, activation, output and delta, (…, samples, units), and its workspace.

    `z` is what f is taken of, normalised where the layer is. In a hidden layer whose f′ needs a alone, `a` is `z`: the
    activation is written over the net input. `out` is `a` unless units are dropped from it. What has no use is None.
    """

    z: Array
    a: Array
    out: Array
    delta: Array
    work: Workspace
    normalized: Normalized | None
    dropped: Dropped | None


@dataclass(frozen=True)
class Dropped:
    """What dropout needs of a layer, or of the inputs: the values left, the mask, and room for random numbers.

    Shapes: out and mask (…, samples, units), chance (…, samples, numbers of a row).
    """

    out: Array
    mask: Array
    chance: NDArray[np.float32]


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
    inputs: Dropped | None


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
            architecture = self._architecture
            layers = tuple(self._layer(index, rows) for index in range(len(architecture.layers)))
            inputs = self._dropped("input", architecture.input_dropout, rows, architecture.inputs)
            self._views[rows] = Buffers(layers, self._samples(rows), inputs)
        return self._views[rows]

    def _layer(self, index: int, rows: int) -> LayerBuffers:
        layer = self._architecture.layers[index]
        is_output = index == len(self._architecture.layers) - 1
        z = self._view(f"z{index}", rows, layer.units)
        overwritten = not is_output and not find_activation(layer.activation).keeps_z
        a = z if overwritten else self._view(f"a{index}", rows, layer.units)
        dropped = self._dropped(f"{index}", layer.dropout, rows, layer.units)
        return LayerBuffers(
            z=z,
            a=a,
            out=a if dropped is None else dropped.out,
            delta=self._view(f"delta{index}", rows, layer.units),
            work=self._workspace(rows, layer.units),
            normalized=self._normalized(index, rows),
            dropped=dropped,
        )

    def _normalized(self, index: int, rows: int) -> Normalized | None:
        layer = self._architecture.layers[index]
        if layer.normalizer is None:
            return None
        spread = (rows, 1) if layer.normalizer.axis == -1 else (1, layer.units)
        return Normalized(self._view(f"hat{index}", rows, layer.units), self._view(f"spread{index}", *spread))

    def _dropped(self, name: str, rate: float, rows: int, units: int) -> Dropped | None:
        if not rate:
            return None
        return Dropped(
            out=self._view(f"out{name}", rows, units),
            mask=self._view(f"mask{name}", rows, units),
            chance=self._view(f"chance{name}", rows, row_width(units), dtype=np.float32),
        )

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
