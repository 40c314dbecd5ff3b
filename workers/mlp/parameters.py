"""The weights of a network, or of a population, in one flat array. Know not how they were made nor how they change.

Each layer's W and b are views that begin at a 64-byte boundary of `flat`, so that a whole update, a copy or a transfer
is one operation on `flat`. What lies between the views is padding: zero, neither trained nor hashed.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np

from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array, aligned, padded


class Parameters:
    """W[l] joins layer l−1 to l, (…, inputs, units); b[l] is (…, units), and the list is empty without bias.

    Shapes: flat (…, size); the leading axes are `networks`.
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
        self._lay_out()

    def _lay_out(self) -> None:
        start = 0
        for below, units in pairwise(self.architecture.sizes):
            self.W.append(self.flat[..., start : start + below * units].reshape(*self.networks, below, units))
            start += padded(below * units, self.flat.dtype)
            if self.architecture.bias:
                self.b.append(self.flat[..., start : start + units])
                start += padded(units, self.flat.dtype)

    @property
    def trained(self) -> Array:
        """What an optimizer changes, (…, size): a view of `flat`."""
        return self.flat

    def member(self, index: tuple[int, ...]) -> Parameters:
        """Return one network of a population, as a view."""
        return Parameters(self.architecture, (), self.flat[index])

    def named(self) -> dict[str, Array]:
        """Return the views as W1, b1, W2, b2, … in order of layers."""
        arrays: dict[str, Array] = {}
        for layer, weights in enumerate(self.W):
            arrays[f"W{layer + 1}"] = weights
            if self.b:
                arrays[f"b{layer + 1}"] = self.b[layer]
        return arrays

    def sha256(self) -> str:
        """Return the hash over each layer's W and then b, little-endian, row-major, in the precision."""
        digest = hashlib.sha256()
        little_endian = self.flat.dtype.newbyteorder("<")
        for array in self.named().values():
            digest.update(np.ascontiguousarray(array, little_endian).data)
        return digest.hexdigest()


def flat_size(architecture: Architecture) -> int:
    """Return the length of a network's flat array, padding included."""
    dtype = architecture.dtype
    biases = sum(padded(units, dtype) for units in architecture.sizes[1:]) if architecture.bias else 0
    return biases + sum(padded(below * units, dtype) for below, units in pairwise(architecture.sizes))
