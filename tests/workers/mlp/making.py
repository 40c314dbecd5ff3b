"""What the tests of the mathematics make again and again: networks with weights, and mini-batches that suit a loss."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from workers.mlp.activations import ACTIVATIONS
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.arrays import Array
from workers.mlp.choices import name_of
from workers.mlp.losses import LOSSES, allowed_activations
from workers.mlp.parameters import Parameters

Precision = Literal["float32", "float64"]
ANY_OUTPUT = ("absolute", "huber", "quantile", "hinge", "squared_hinge")  # computed from o, as squared_error is
EVERY_PAIR = sorted(
    (loss, activation)
    for loss in LOSSES
    for activation in (("identity",) if loss in ANY_OUTPUT else allowed_activations(loss))
)
IN_THE_TEXTBOOK = [pair for pair in EVERY_PAIR if pair != ("focal", "softmax")]  # its losses add up over the outputs
HIDDEN = tuple(name for name, kind in ACTIVATIONS.items() if kind.hidden)
COMBINATIONS = [  # each pair in turn with each of these, and each hidden activation with one pair
    *((pair, ("tanh", "relu", "sigmoid", "prelu")[turn % 4]) for turn, pair in enumerate(EVERY_PAIR)),
    *((("cross_entropy", "softmax"), hidden) for hidden in HIDDEN),
]
EACH_COMBINATION = pytest.mark.parametrize(
    ("pair", "hidden"), COMBINATIONS, ids=["-".join((*pair, hidden)) for pair, hidden in COMBINATIONS]
)


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
    """Inputs, and targets that belong to the loss: numbers, positive ones where it takes no others, or classes."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(*networks, rows, shape.inputs))
    y: Array
    loss = LOSSES[name_of(shape.loss)]
    if not loss.classes:
        y = generator.normal(size=(*networks, rows, shape.outputs))
        y = y if -1.0 in loss.targets else np.abs(y)
    elif shape.outputs == 1:
        y = generator.integers(2, size=(*networks, rows, 1)).astype(shape.dtype)
    else:
        y = np.eye(shape.outputs)[generator.integers(shape.outputs, size=(*networks, rows))]
    return x.astype(shape.dtype), y.astype(shape.dtype)
