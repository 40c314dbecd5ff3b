"""The weights of a network, or of a population, in one flat array. Know not how they were made nor how they change.

Each layer's arrays are views that begin at a 64-byte boundary of `flat`, so that a whole update, a copy or a transfer
is one operation on `flat`: first all that is trained, then the running statistics, which only the parameter server
changes. What lies between the views is padding: zero, neither trained nor hashed.

A gradient has the same form; in the place of the running statistics it carries the sums that they are made of.
"""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise

import numpy as np

from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array, aligned, padded


class Parameters:
    """W[l] joins layer l−1 to l, (…, inputs, units); b[l] is (…, units), and the list is empty without bias.

    others[l] are the layer's other arrays by name, (…, units) each: `gain`, `shift`, `running_mean`, …
    Shapes: flat (…, size), trained (…, trained size); the leading axes are `networks`.
    """

    def __init__(self, architecture: Architecture, networks: tuple[int, ...] = (), flat: Array | None = None) -> None:
        size = flat_size(architecture)
        shape = (*networks, size)
        if flat is None:
            flat = aligned(shape, architecture.dtype)
        if flat.shape != shape or flat.dtype != architecture.dtype:
            raise ValueError(f"flat: {flat.dtype}{flat.shape}; allowed: {architecture.dtype}{shape}")
        self.architecture = architecture
        self.networks = networks
        self.flat = flat
        self.W: list[Array] = []
        self.b: list[Array] = []
        self.others: list[dict[str, Array]] = []
        self._lay_out()

    def _lay_out(self) -> None:
        start = 0

        def view(*shape: int) -> Array:
            nonlocal start
            size = math.prod(shape)
            found = self.flat[..., start : start + size].reshape(*self.networks, *shape)
            start += padded(size, self.flat.dtype)
            return found

        layers = self.architecture.layers
        for below, layer in zip(self.architecture.sizes, layers, strict=False):
            self.W.append(view(below, layer.units))
            if self.architecture.bias:
                self.b.append(view(layer.units))
            self.others.append({name: view(layer.units) for name in layer.learned})
        self.trained = self.flat[..., :start]  # what an optimizer changes
        for layer, others in zip(layers, self.others, strict=True):
            others.update({name: view(layer.units) for name in layer.running})

    def member(self, index: tuple[int, ...]) -> Parameters:
        """Return one network of a population, as a view."""
        return Parameters(self.architecture, (), self.flat[index])

    def named(self) -> dict[str, Array]:
        """Return the views in the order of the hash: of each layer W1, b1, then its others by name."""
        arrays: dict[str, Array] = {}
        for layer, weights in enumerate(self.W):
            arrays[f"W{layer + 1}"] = weights
            if self.b:
                arrays[f"b{layer + 1}"] = self.b[layer]
            arrays |= {f"{name}{layer + 1}": array for name, array in sorted(self.others[layer].items())}
        return arrays

    def trained_arrays(self) -> list[Array]:
        """Return all that is trained, array by array, layer by layer."""
        return [
            array
            for layer, shape in enumerate(self.architecture.layers)
            for array in (
                self.W[layer],
                *self.b[layer : layer + 1],
                *(self.others[layer][name] for name in shape.learned),
            )
        ]

    def by_layer(self) -> list[list[Array]]:
        """Return each layer's arrays."""
        return [
            [self.W[layer], *(self.b[layer : layer + 1]), *others.values()] for layer, others in enumerate(self.others)
        ]

    def sha256(self) -> str:
        """Return the hash over each layer's W, b and others, little-endian, row-major, in the precision."""
        digest = hashlib.sha256()
        little_endian = self.flat.dtype.newbyteorder("<")
        for array in self.named().values():
            digest.update(np.ascontiguousarray(array, little_endian).data)
        return digest.hexdigest()


def flat_size(architecture: Architecture) -> int:
    """Return the length of a network's flat array, padding included."""
    dtype = architecture.dtype
    joined = sum(padded(below * units, dtype) for below, units in pairwise(architecture.sizes))
    per_unit = sum(
        padded(layer.units, dtype) * (architecture.bias + len(layer.learned) + len(layer.running))
        for layer in architecture.layers
    )
    return joined + per_unit
