"""What the tests of the mathematics make again and again: networks with weights, and mini-batches that suit a loss."""

from __future__ import annotations

from typing import Literal

import numpy as np

from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.arrays import Array
from workers.mlp.losses import LOSSES, allowed_activations
from workers.mlp.parameters import Parameters

Precision = Literal["float32", "float64"]
EVERY_PAIR = sorted((loss, activation) for loss in LOSSES for activation in allowed_activations(loss))
HIDDEN = ("identity", "sigmoid", "tanh", "relu")


def architecture(
    pair: tuple[str, str],
    sizes: tuple[int, ...],
    hidden: str = "tanh",
    *,
    bias: bool = True,
    precision: Precision = "float64",
) -> Architecture:
    """A network of these sizes, all its hidden layers alike."""
    loss, output = pair
    layers = (*(LayerShape(units, hidden) for units in sizes[1:-1]), LayerShape(sizes[-1], output))
    return Architecture(sizes[0], layers, loss, bias, precision)


def random_parameters(shape: Architecture, seed: int, networks: tuple[int, ...] = ()) -> Parameters:
    """Weights and biases of a size that saturates nothing."""
    generator = np.random.default_rng(seed)
    parameters = Parameters(shape, networks)
    for array in parameters.named().values():
        array[...] = generator.uniform(-1, 1, array.shape)
    return parameters


def random_batch(shape: Architecture, rows: int, seed: int, networks: tuple[int, ...] = ()) -> tuple[Array, Array]:
    """Inputs, and targets that belong to the loss: numbers, or one class of each row."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(*networks, rows, shape.inputs))
    y: Array
    if shape.loss == "squared_error":
        y = generator.normal(size=(*networks, rows, shape.outputs))
    elif shape.outputs == 1:
        y = generator.integers(2, size=(*networks, rows, 1)).astype(shape.dtype)
    else:
        y = np.eye(shape.outputs)[generator.integers(shape.outputs, size=(*networks, rows))]
    return x.astype(shape.dtype), y.astype(shape.dtype)
