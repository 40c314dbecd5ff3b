"""Normalisation of a layer's net inputs, between z and f(z): each to mean 0 and deviation 1, then scaled and shifted.

    ẑ = (z − mean) / √(variance + ε);  y = gain · ẑ + shift        ε = 10⁻⁵, variance over all n (not n − 1)

Layer normalisation takes mean and variance of each sample, over the units. Batch normalisation takes those of each
unit, over the samples that are computed together: of a mini-batch cut into shards each shard has its own ("ghost"
batches), so that they need not wait for each other within a step. For prediction it uses running statistics, which the
parameter server follows from sums that the shards return beside their gradients.

Knows no activation and no weights. Shapes: z, y, ẑ and delta are (…, samples, units).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from workers.mlp.arrays import Array, Arrays, Workspace

EPSILON = 1e-5
MOMENTUM = 0.1  # the share of a step's statistics in the running ones


class Normalized(NamedTuple):
    """What a normalisation in training leaves for its way back.

    Shapes: hat (…, samples, units); spread (…, samples, 1) of each sample, or (…, 1, units) of each unit.
    """

    hat: Array  # ẑ
    spread: Array  # √(variance + ε)


class Normalization(ABC):
    """A normalisation with its learned gain and shift, (…, units) each."""

    name: ClassVar[str]
    learned: ClassVar[tuple[str, ...]] = ("gain", "shift")
    running: ClassVar[tuple[str, ...]] = ()
    axis: ClassVar[int]  # over which mean and variance are taken

    def train(self, z: Array, kept: Normalized, given: Arrays, sums: Arrays, work: Workspace) -> None:
        """Turn z into y in place, and keep what the way back needs; `sums` takes what running statistics need."""
        hat, spread = kept
        mean = z.mean(axis=self.axis, keepdims=True, dtype=z.dtype)
        np.subtract(z, mean, out=hat)
        np.multiply(hat, hat, out=work.first)
        work.first.mean(axis=self.axis, keepdims=True, out=spread)
        self._follow(z.shape[-2], mean, spread, given, sums)
        np.add(spread, z.dtype.type(EPSILON), out=spread)
        np.sqrt(spread, out=spread)
        np.divide(hat, spread, out=hat)
        scale_and_shift(hat, given, out=z)

    @abstractmethod
    def predict(self, z: Array, given: Arrays, work: Workspace) -> None:
        """Turn z into y in place, as for prediction."""

    @abstractmethod
    def _follow(self, samples: int, mean: Array, variance: Array, given: Arrays, sums: Arrays) -> None:
        """Write into `sums` what running statistics need."""

    def back(self, kept: Normalized, delta: Array, given: Arrays, gradient: Arrays, work: Workspace) -> None:
        """Turn delta from ∂E/∂y into ∂E/∂z in place, and write the gradients of gain and shift.

        With g = gain · ∂E/∂y:  ∂E/∂z = (g − mean(g) − ẑ · mean(g · ẑ)) / √(variance + ε).
        """
        hat, spread = kept
        product = np.multiply(delta, hat, out=work.first)
        product.sum(axis=-2, out=gradient["gain"])
        delta.sum(axis=-2, out=gradient["shift"])
        np.multiply(delta, per_unit(given["gain"]), out=delta)
        np.multiply(delta, hat, out=product)
        along = product.mean(axis=self.axis, keepdims=True, dtype=delta.dtype)
        np.subtract(delta, delta.mean(axis=self.axis, keepdims=True, dtype=delta.dtype), out=delta)
        np.multiply(hat, along, out=product)
        np.subtract(delta, product, out=delta)
        np.divide(delta, spread, out=delta)


class LayerNormalization(Normalization):
    """Mean and variance of each sample, the same in training and prediction.

    Source: Ba, Kiros and Hinton, Layer normalization (2016).
    """

    name = "layer"
    axis = -1

    def predict(self, z: Array, given: Arrays, work: Workspace) -> None:
        """y = gain · ẑ + shift."""
        self.train(z, Normalized(work.second, work.column), given, {}, work)

    def _follow(self, samples: int, mean: Array, variance: Array, given: Arrays, sums: Arrays) -> None:
        """Keep nothing: each sample has its own statistics."""


class BatchNormalization(Normalization):
    """Mean and variance of each unit over the samples of a shard; running ones for prediction.

    Source: Ioffe and Szegedy, Batch normalization (2015); shards as ghost batches: Hoffer, Hubara and Soudry (2017).
    """

    name = "batch"
    running = ("running_mean", "running_variance")
    axis = -2

    def predict(self, z: Array, given: Arrays, work: Workspace) -> None:
        """y = gain · (z − running mean) / √(running variance + ε) + shift."""
        np.subtract(z, per_unit(given["running_mean"]), out=z)
        np.divide(z, per_unit(np.sqrt(given["running_variance"] + z.dtype.type(EPSILON))), out=z)
        scale_and_shift(z, given, out=z)

    def _follow(self, samples: int, mean: Array, variance: Array, given: Arrays, sums: Arrays) -> None:
        """Write Σ(z − r) and Σ(z − r)², both about the running mean r: about 0 a small variance would be lost.

        Source: Chan, Golub and LeVeque, Algorithms for computing the sample variance (1983).
        """
        distance = mean[..., 0, :] - given["running_mean"]
        count = mean.dtype.type(samples)
        np.multiply(distance, count, out=sums["running_mean"])
        np.multiply(variance[..., 0, :] + distance * distance, count, out=sums["running_variance"])


def follow_running(given: Arrays, sums: Arrays, samples: int) -> None:
    """Take a step's statistics into the running ones, as PyTorch does; `sums` are what all its shards returned.

        r ← 0.9 r + 0.1 mean;  v ← 0.9 v + 0.1 variance · n / (n − 1)

    Shapes: (…, units); `samples` is n, 2 or more.
    """
    number = given["running_mean"].dtype.type
    distance = sums["running_mean"] / number(samples)
    variance = sums["running_variance"] / number(samples) - distance * distance
    unbiased = np.maximum(variance, 0) * number(samples / (samples - 1))
    mean = given["running_mean"] + distance
    for name, new in (("running_mean", mean), ("running_variance", unbiased)):
        given[name][...] = number(1 - MOMENTUM) * given[name] + number(MOMENTUM) * new


def scale_and_shift(hat: Array, given: Arrays, out: Array) -> None:
    """Write gain · ẑ + shift."""
    np.multiply(hat, per_unit(given["gain"]), out=out)
    np.add(out, per_unit(given["shift"]), out=out)


def per_unit(array: Array) -> Array:
    """Stand (…, units) beside (…, samples, units)."""
    return array[..., np.newaxis, :]


NORMALIZATIONS: dict[str, Normalization] = {one.name: one for one in (LayerNormalization(), BatchNormalization())}
