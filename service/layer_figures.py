"""What is recorded of each layer, once an epoch, and what a person should be told of it. Changes nothing.

Deltas and gradients are those of the epoch's last whole mini-batch. Dead and saturated units are those of the rows that
are predicted at its end, the validation part; without one, of the same mini-batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from workers.mlp.arrays import Array
from workers.mlp.layer_sums import LayerSums
from workers.mlp.parameters import Parameters

FIGURES = ("delta_norm", "gradient_norm", "weight_norm", "dead_fraction", "saturated_fraction")

# Deltas change from layer to layer by a factor; beyond these, over all layers, the first ones learn next to nothing or
# far too much.
VANISHING, EXPLODING = 1e-5, 1e5
DEAD = 0.9

Figures = dict[str, Any]


def step_figures(layers: Sequence[LayerSums], gradient_sums: Sequence[Array], weight_sum: float) -> list[Figures]:
    """What a mini-batch says of each layer, the output's last: its deltas, units, and average gradient.

    The norm is that of ∂E/∂W, whose sums are given, before penalties, clipping and the update.
    """
    return [
        {"delta_norm": float(layer.delta_norm), "gradient_norm": norm(array) / (weight_sum or 1.0), **activity(layer)}
        for layer, array in zip(layers, gradient_sums, strict=True)
    ]


def epoch_figures(of_step: Sequence[Figures], predicted: Sequence[LayerSums], parameters: Parameters) -> list[Figures]:
    """The same at the epoch's end, with the weights, and the units as they predict where rows were predicted."""
    figures = [{**figures, "weight_norm": norm(array)} for figures, array in zip(of_step, parameters.W, strict=True)]
    for layer, seen in zip(figures, predicted, strict=False):  # no row is predicted without a validation part
        layer |= activity(seen)
    return figures


def activity(layer: LayerSums) -> Figures:
    """The shares of dead and of saturated units."""
    return {
        "dead_fraction": float(layer.dead_fraction),
        "saturated_fraction": float(layer.saturated_fraction),
    }


def signals(layers: Sequence[Figures]) -> dict[str, str]:
    """What is wrong with deltas or units, and what to try; by a word for each, so that it can be said once."""
    found = {}
    ratio = layers[0]["delta_norm"] / layers[-1]["delta_norm"] if layers[-1]["delta_norm"] else 1.0
    times = f"the first layer's delta_norm is {ratio:.1g} times the output's"
    if ratio < VANISHING:
        found["vanishing"] = (
            f"The deltas vanish on their way back: {times}, so that the first layers hardly learn. "
            "Try relu or another activation, network.normalization, or fewer layers."
        )
    if ratio > EXPLODING:
        found["exploding"] = (
            f"The deltas explode on their way back: {times}. "
            "Try network.normalization, another initializer, optimizer.clip_norm, or a smaller learning_rate."
        )
    dead = [number for number, layer in enumerate(layers[:-1], start=1) if layer["dead_fraction"] >= DEAD]
    if dead:
        found["dead"] = (
            f"Nine of ten units or more put out 0 for every row in hidden layer {', '.join(map(str, dead))}. "
            "Try leaky_relu or elu, or a smaller learning_rate."
        )
    return found


def norm(array: Array) -> float:
    """The Euclidean norm of all numbers of an array."""
    return math.sqrt(float(np.multiply(array, array).sum(axis=(-2, -1))))
