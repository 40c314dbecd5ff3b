"""Forward pass and backpropagation by the delta rule, into memory allocated once. Knows no optimizer and no data set.

    forward    z[l] = a[l-1] W[l] + b[l];  a[l] = f(z[l])            column form: z = Wᵀ a + b
    output     delta[L] = ∂E/∂z[L]                                   o − y for the matched pairs (losses.py)
    backward   delta[l] = (delta[l+1] W[l+1]ᵀ) · f′(z[l])            the delta rule; column form: (W delta) · f′(z)
    gradient   ∂E/∂W[l] = a[l-1]ᵀ delta[l];  ∂E/∂b[l] = Σ delta[l]   column form: a deltaᵀ

Only `np.matmul` multiplies matrices, sums go over the last two axes of C-contiguous arrays, and the bias is added
after the product: each of them keeps a network's bits the same alone and in a population.

Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors (1986).
"""

from __future__ import annotations

import numpy as np

from workers.mlp.activations import ACTIVATIONS
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array, quietly
from workers.mlp.buffers import Buffers, LayerBuffers, Memory
from workers.mlp.losses import find_loss
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums, mark_right, sum_samples

__all__ = ["BatchSums", "Network"]


class Network:
    """A network, or a population of the same architecture, for mini-batches of at most `rows` samples.

    Shapes: x (…, samples, inputs) and targets (…, samples, outputs) in the precision, weights (…, samples); without
    leading axes they are shared by all networks.
    """

    def __init__(self, architecture: Architecture, rows: int, networks: tuple[int, ...] = ()) -> None:
        self.architecture = architecture
        self.networks = networks
        self._memory = Memory(architecture, rows, networks)
        self._activations = tuple(ACTIVATIONS[layer.activation] for layer in architecture.layers)
        self._loss = find_loss(architecture.loss, architecture.layers[-1].activation)

    def layers(self, rows: int) -> tuple[LayerBuffers, ...]:
        """Return what the last pass over that many samples left behind: each layer's z, a and delta."""
        return self._memory.of(rows).layers

    @quietly
    def forward(self, parameters: Parameters, x: Array) -> Array:
        """Return the outputs (…, samples, outputs), a view of memory that the next pass overwrites."""
        buffers = self._memory.of(x.shape[-2])
        self._forward(parameters, x, buffers)
        return buffers.layers[-1].a

    @quietly
    def sums(self, parameters: Parameters, x: Array, targets: Array, weights: Array | None) -> BatchSums:
        """Return the sums over the samples, without a gradient."""
        buffers = self._memory.of(x.shape[-2])
        self._forward(parameters, x, buffers)
        return self._sums(targets, weights, buffers)

    @quietly
    def gradient(
        self, parameters: Parameters, x: Array, targets: Array, weights: Array | None, out: Parameters
    ) -> BatchSums:
        """Write the gradient of Σ w · loss into `out`, and return the sums over the samples."""
        buffers = self._memory.of(x.shape[-2])
        self._forward(parameters, x, buffers)
        sums = self._sums(targets, weights, buffers)
        output = buffers.layers[-1]
        self._loss.delta(output.z, output.a, targets, output.delta, output.work)
        if weights is not None:
            np.copyto(buffers.samples.weight, weights)
            np.multiply(output.delta, buffers.samples.weight[..., np.newaxis], out=output.delta)
        self._backward(parameters, x, buffers.layers, out)
        return sums

    def _forward(self, parameters: Parameters, x: Array, buffers: Buffers) -> None:
        a = x
        for index, (layer, activation) in enumerate(zip(buffers.layers, self._activations, strict=True)):
            np.matmul(a, parameters.W[index], out=layer.z)
            if parameters.b:
                np.add(layer.z, parameters.b[index][..., np.newaxis, :], out=layer.z)
            activation.apply(layer.z, layer.a, layer.work)
            a = layer.a

    def _backward(self, parameters: Parameters, x: Array, layers: tuple[LayerBuffers, ...], out: Parameters) -> None:
        for index in reversed(range(len(layers))):
            delta = layers[index].delta
            below = layers[index - 1].a if index else x
            np.matmul(below.swapaxes(-1, -2), delta, out=out.W[index])
            if out.b:
                delta.sum(axis=-2, out=out.b[index])
            if index:
                hidden = layers[index - 1]
                np.matmul(delta, parameters.W[index].swapaxes(-1, -2), out=hidden.delta)
                self._activations[index - 1].backward(hidden.z, hidden.a, hidden.delta, hidden.work)

    def _sums(self, targets: Array, weights: Array | None, buffers: Buffers) -> BatchSums:
        output, samples = buffers.layers[-1], buffers.samples
        self._loss.values(output.z, output.a, targets, samples.loss, output.work)
        classes = self.architecture.loss != "squared_error"
        if classes:
            mark_right(output.a, targets, samples)
        return sum_samples(samples, weights, classes)
