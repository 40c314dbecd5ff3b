"""One sample through a network and back, and one plain step of gradient descent, with every number kept to be shown.

It computes as for prediction: without dropout, and batch normalisation with its running statistics, which are
constants then. All else is what `network.py` does in training. Knows no labels and no limits of size.

    forward    z = a[below] W + b;  y is z normalised, where the layer is;  a = f(y)
    backward   delta = ∂E/∂z = (delta[above] Wᵀ[above]) · f′(y), then back through the normalisation
    step       W ← W − α ∂E/∂W, and so every other array that is trained
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.mlp.activations import Softmax, find_activation
from workers.mlp.arrays import Array, Workspace, quietly
from workers.mlp.buffers import Memory
from workers.mlp.losses import find_loss
from workers.mlp.network import Network
from workers.mlp.normalizations import EPSILON, BatchNormalization, Normalized
from workers.mlp.parameters import Parameters


@dataclass(frozen=True)
class ShownStep:
    """What each layer did, the gradient of the loss, the parameters after the step; loss and output before and after.

    Shapes: output and output_after (outputs,).
    """

    layers: tuple[ShownLayer, ...]
    gradient: Parameters
    updated: Parameters
    loss: float
    loss_after: float
    output: Array
    output_after: Array


class ShownLayer:
    """One layer's way forward and back. Shapes: all arrays are (1, units)."""

    z: Array
    y: Array  # z itself where nothing is normalised
    a: Array
    delta: Array

    def __init__(self, index: int, parameters: Parameters, gradient: Parameters, work: Workspace) -> None:
        self.shape = parameters.architecture.layers[index]
        self.activation = find_activation(self.shape.activation)
        self._normalizer = self.shape.normalizer
        self._weights = parameters.W[index]
        self._bias = parameters.b[index] if parameters.b else None
        self._others, self._gradient = parameters.others[index], gradient.others[index]
        self._weight_gradient = gradient.W[index]
        self._bias_gradient = gradient.b[index] if gradient.b else None
        self._work = work

    def forward(self, below: Array) -> Array:
        """Return a, from that of the layer below."""
        self._below = below
        self.z = np.matmul(below, self._weights)
        if self._bias is not None:
            np.add(self.z, self._bias, out=self.z)
        self.y = self._normalized(self.z.copy())
        self.a = np.empty_like(self.z)
        self.activation.forward(self.y, self.a, self._work, self._others)
        return self.a

    def through(self, delta: Array) -> Array:
        """Return ∂E/∂z, from ∂E/∂a."""
        self.activation.back(self.y, self.a, delta, self._work, self._others, self._gradient)
        if isinstance(self._normalizer, BatchNormalization):
            np.multiply(delta, self._kept.hat, out=self._work.first)
            self._gradient["gain"][...] = self._work.first[0]
            self._gradient["shift"][...] = delta[0]
            np.multiply(delta, self._others["gain"], out=delta)
            np.divide(delta, self._kept.spread, out=delta)  # the statistics do not depend on this sample
        elif self._normalizer is not None:
            self._normalizer.back(self._kept, delta, self._others, self._gradient, self._work)
        return delta

    def back(self, delta: Array) -> Array:
        """Take ∂E/∂z, write the gradients of weights and bias, and return ∂E/∂a of the layer below."""
        self.delta = delta
        np.matmul(self._below.swapaxes(-1, -2), delta, out=self._weight_gradient)
        if self._bias_gradient is not None:
            delta.sum(axis=-2, out=self._bias_gradient)
        below: Array = np.matmul(delta, self._weights.swapaxes(-1, -2))
        return below

    def slope(self) -> Array | None:
        """Return f′(y), which softmax has not: each of its a depends on every z."""
        if isinstance(self.activation, Softmax):
            return None
        ones = np.ones_like(self.y)
        unused = {name: np.empty_like(array) for name, array in self._gradient.items()}
        self.activation.back(self.y, self.a, ones, self._work, self._others, unused)
        return ones

    def _normalized(self, z: Array) -> Array:
        given = self._others
        if isinstance(self._normalizer, BatchNormalization):
            spread: Array = np.sqrt(given["running_variance"] + z.dtype.type(EPSILON))
            self._kept = Normalized((z - given["running_mean"]) / spread, spread)
            self._normalizer.predict(z, given, self._work)
        elif self._normalizer is not None:
            self._kept = Normalized(np.empty_like(z), np.empty_like(z[..., :1]))
            self._normalizer.train(z, self._kept, given, {}, self._work)
        return z


@quietly
def show_step(parameters: Parameters, x: Array, target: Array, learning_rate: float) -> ShownStep:
    """Do one step on one sample; `parameters` stay as they are.

    Shapes: x (1, inputs), target (1, outputs), in the precision.
    """
    architecture = parameters.architecture
    gradient, updated = Parameters(architecture), Parameters(architecture)
    layers = _forward_and_back(parameters, gradient, x, target)
    np.copyto(updated.flat, parameters.flat)
    rate = parameters.flat.dtype.type(learning_rate)
    np.subtract(updated.trained, rate * gradient.trained, out=updated.trained)
    loss, output = _outcome(parameters, x, target)
    loss_after, output_after = _outcome(updated, x, target)
    return ShownStep(layers, gradient, updated, loss, loss_after, output, output_after)


def _forward_and_back(parameters: Parameters, gradient: Parameters, x: Array, target: Array) -> tuple[ShownLayer, ...]:
    architecture = parameters.architecture
    buffers = Memory(architecture, 1, ()).of(1).layers
    layers = tuple(ShownLayer(index, parameters, gradient, each.work) for index, each in enumerate(buffers))
    a = x
    for layer in layers:
        a = layer.forward(a)
    output = layers[-1]
    delta = np.empty_like(output.z)
    loss = find_loss(architecture.loss, output.shape.activation)
    loss.delta(output.y, output.a, target, delta, buffers[-1].work)
    for layer, below in zip(reversed(layers[1:]), reversed(layers[:-1]), strict=True):
        delta = below.through(layer.back(delta))
    layers[0].back(delta)
    return layers


def _outcome(parameters: Parameters, x: Array, target: Array) -> tuple[float, Array]:
    network = Network(parameters.architecture, 1)
    loss = network.sums(parameters, x, target, None).loss
    return loss, network.layers(1)[-1].a[0].copy()
