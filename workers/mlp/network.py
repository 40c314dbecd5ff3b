"""Forward pass and backpropagation by the delta rule, into memory allocated once. Knows no optimizer and no data set.

    forward    z[l] = a[l-1] W[l] + b[l];  a[l] = f(z[l])            column form: z = Wᵀ a + b
    output     delta[L] = ∂E/∂z[L]                                   o − y for the matched pairs (losses.py)
    backward   delta[l] = (delta[l+1] W[l+1]ᵀ) · f′(z[l])            the delta rule; column form: (W delta) · f′(z)
    gradient   ∂E/∂W[l] = a[l-1]ᵀ delta[l];  ∂E/∂b[l] = Σ delta[l]   column form: a deltaᵀ

Where a layer is normalised, that comes between z and f; in training, dropout comes after f. Each has its own way back.

Only `np.matmul` multiplies matrices, sums go over the last two axes of C-contiguous arrays, and the bias is added
after the product: each of them keeps a network's bits the same alone and in a population.

Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors (1986).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.activations import find_activation
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array, Arrays, quietly
from workers.mlp.buffers import Buffers, Dropped, LayerBuffers, Memory
from workers.mlp.dropout import Dropout
from workers.mlp.layer_sums import LayerSums, observe_layer
from workers.mlp.losses import find_loss
from workers.mlp.parameters import Parameters
from workers.mlp.random import RowPlace
from workers.mlp.sums import BatchSums, mark_all_right, mark_right, sum_samples

__all__ = ["BatchSums", "Network"]


class Network:
    """A network, or a population of the same architecture, for mini-batches of at most `rows` samples.

    Of a population, `dropout_rates` may have one for each network in the place of each of the architecture's own, which
    say where units are dropped at all.
    Shapes: x (…, samples, inputs) and targets (…, samples, outputs) in the precision, weights (…, samples); without
    leading axes they are shared by all networks.
    """

    def __init__(
        self,
        architecture: Architecture,
        rows: int,
        networks: tuple[int, ...] = (),
        dropout_rates: Sequence[ArrayLike] = (),
    ) -> None:
        self.architecture = architecture
        self.networks = networks
        self._rates = dropout_rates or architecture.dropout_rates
        self._memory = Memory(architecture, rows, networks)
        self._activations = tuple(find_activation(layer.activation) for layer in architecture.layers)
        self._normalizers = tuple(layer.normalizer for layer in architecture.layers)
        self._loss = find_loss(architecture.loss, architecture.layers[-1].activation)
        self._dropout = Dropout()

    def layers(self, rows: int) -> tuple[LayerBuffers, ...]:
        """Return what the last pass over that many samples left behind: each layer's z, a and delta."""
        return self._memory.of(rows).layers

    @quietly
    def forward(self, parameters: Parameters, x: Array) -> Array:
        """Return the outputs (…, samples, outputs) of prediction, a view of memory that the next pass overwrites."""
        buffers = self._memory.of(x.shape[-2])
        self._predict(parameters, x, buffers)
        output = buffers.layers[-1]
        self._activations[-1].forward(output.z, output.a, output.work, parameters.others[-1])
        return output.a

    @quietly
    def sums(
        self, parameters: Parameters, x: Array, targets: Array, weights: Array | None, *, observe: bool = False
    ) -> BatchSums:
        """Return the sums over the samples as predicted, without a gradient; with what its layers did, if asked."""
        buffers = self._memory.of(x.shape[-2])
        self._predict(parameters, x, buffers)
        sums = self._sums(targets, weights, buffers)
        return sums.with_layers(self._observed(buffers, backward=False)) if observe else sums

    @quietly
    def gradient(
        self,
        parameters: Parameters,
        x: Array,
        targets: Array,
        weights: Array | None,
        out: Parameters,
        place: RowPlace | None = None,
        *,
        observe: bool = False,
    ) -> BatchSums:
        """Write the gradient of Σ w · loss into `out`, and return the sums over the samples.

        `place` says which rows these are, for dropout alone. `out` gets the sums for running statistics too.
        """
        buffers = self._memory.of(x.shape[-2])
        x = self._train(parameters, x, buffers, out, place)
        sums = self._sums(targets, weights, buffers)
        output = buffers.layers[-1]
        self._loss.delta(output.z, output.a, targets, output.delta, output.work)
        if weights is not None:
            np.copyto(buffers.samples.weight, weights)
            np.multiply(output.delta, buffers.samples.weight[..., np.newaxis], out=output.delta)
        self._backward(parameters, x, buffers.layers, out)
        return sums.with_layers(self._observed(buffers, backward=True)) if observe else sums

    def _predict(self, parameters: Parameters, x: Array, buffers: Buffers) -> None:
        """Do the forward pass of prediction up to the outputs' net inputs."""
        a = x
        for index, layer in enumerate(buffers.layers):
            self._join(parameters, index, a, layer.z)
            others = parameters.others[index]
            if normalizer := self._normalizers[index]:
                normalizer.predict(layer.z, others, layer.work)
            if layer is not buffers.layers[-1]:
                self._activations[index].forward(layer.z, layer.a, layer.work, others)
            a = layer.a

    def _train(
        self, parameters: Parameters, x: Array, buffers: Buffers, out: Parameters, place: RowPlace | None
    ) -> Array:
        """Do the forward pass of training up to the outputs' net inputs; return the inputs as they were used."""
        if buffers.inputs is not None:
            x = self._drop(x, buffers.inputs, 0, place)
        a = x
        for index, layer in enumerate(buffers.layers):
            self._join(parameters, index, a, layer.z)
            others = parameters.others[index]
            if (normalizer := self._normalizers[index]) and layer.normalized:
                normalizer.train(layer.z, layer.normalized, others, out.others[index], layer.work)
            if layer is not buffers.layers[-1]:
                self._activations[index].forward(layer.z, layer.a, layer.work, others)
            a = layer.a
            if layer.dropped is not None:
                a = self._drop(a, layer.dropped, index + 1, place)
        return x

    def _join(self, parameters: Parameters, index: int, a: Array, z: Array) -> None:
        np.matmul(a, parameters.W[index], out=z)
        if parameters.b:
            np.add(z, parameters.b[index][..., np.newaxis, :], out=z)

    def _drop(self, a: Array, dropped: Dropped, layer: int, place: RowPlace | None) -> Array:
        if place is None:
            raise ValueError("place: None; allowed: the place of the rows, which dropout needs")
        self._dropout.draw(self._rates[layer], place, layer, dropped.chance, dropped.mask)
        return np.multiply(a, dropped.mask, out=dropped.out)

    def _backward(self, parameters: Parameters, x: Array, layers: tuple[LayerBuffers, ...], out: Parameters) -> None:
        for index in reversed(range(len(layers))):
            delta = layers[index].delta
            below = layers[index - 1].out if index else x
            np.matmul(below.swapaxes(-1, -2), delta, out=out.W[index])
            if out.b:
                delta.sum(axis=-2, out=out.b[index])
            if index:
                hidden = layers[index - 1]
                np.matmul(delta, parameters.W[index].swapaxes(-1, -2), out=hidden.delta)
                self._back_through(index - 1, hidden, parameters.others[index - 1], out.others[index - 1])

    def _back_through(self, index: int, layer: LayerBuffers, others: Arrays, gradient: Arrays) -> None:
        """Turn delta from ∂E/∂output into ∂E/∂z of a hidden layer: through dropout, f and normalisation."""
        if layer.dropped is not None:
            np.multiply(layer.delta, layer.dropped.mask, out=layer.delta)
        self._activations[index].back(layer.z, layer.a, layer.delta, layer.work, others, gradient)
        if (normalizer := self._normalizers[index]) and layer.normalized:
            normalizer.back(layer.normalized, layer.delta, others, gradient, layer.work)

    def _sums(self, targets: Array, weights: Array | None, buffers: Buffers) -> BatchSums:
        """Make the outputs from their net inputs, and add up what the samples say."""
        output, samples = buffers.layers[-1], buffers.samples
        self._loss.respond(output.z, output.a, targets, samples.loss, output.work)
        classes = self._loss.classes
        if classes and self.architecture.labels:
            mark_all_right(output.a, targets, samples, output.work)
        elif classes:
            mark_right(output.a, targets, self._loss.threshold, samples)
        return sum_samples(samples, weights, classes)

    def _observed(self, buffers: Buffers, *, backward: bool) -> tuple[LayerSums, ...]:
        return tuple(
            observe_layer(layer, activation, backward=backward)
            for layer, activation in zip(buffers.layers, self._activations, strict=True)
        )
