"""What is recorded of each layer, once an epoch, and what a person should be told of it. Changes nothing.

The deltas and gradients are those of the epoch's last whole mini-batch; dead and saturated units those of the rows
that were predicted at its end, the validation part, and without one of the same mini-batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from workers.mlp.arrays import Array
from workers.mlp.layer_sums import LayerSums
from workers.mlp.parameters import Parameters

FIGURES = ("delta_norm", "gradient_norm", "weight_norm", "dead_fraction", "saturated_fraction")

# Deltas change from layer to layer by a factor; beyond these, over all layers, the first ones learn next to nothing or
# far too much.
VANISHING, EXPLODING = 1e-5, 1e5
DEAD = 0.9


class Observed(NamedTuple):
    """A mini-batch's deltas, and the norm of each W's average gradient, before the update."""

    layers: tuple[LayerSums, ...]
    gradient_norms: tuple[float, ...]


def observe(layers: tuple[LayerSums, ...], gradient_sum: Parameters, weight_sum: float) -> Observed:
    """What is kept of a mini-batch that was looked at."""
    return Observed(layers, tuple(norm(array) / (weight_sum or 1.0) for array in gradient_sum.W))


def layer_figures(observed: Observed, predicted: tuple[LayerSums, ...], parameters: Parameters) -> list[dict[str, Any]]:
    """One row of figures for each layer, the output's last; `predicted` may be empty."""
    rows = zip(observed.layers, predicted or observed.layers, observed.gradient_norms, parameters.W, strict=True)
    return [
        {
            "delta_norm": float(trained.delta_norm),
            "gradient_norm": gradient_norm,
            "weight_norm": norm(weights),
            "dead_fraction": float(units.dead_fraction),
            "saturated_fraction": float(units.saturated_fraction),
        }
        for trained, units, gradient_norm, weights in rows
    ]


def warnings(layers: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What is wrong with the deltas or the units, and what to try; by a word for each, so that it is said once."""
    found = {}
    ratio = layers[0]["delta_norm"] / layers[-1]["delta_norm"] if layers[-1]["delta_norm"] else 1.0
    times = f"the first layer's are {ratio:.1g} times the output's (delta_norm)"
    if ratio < VANISHING:
        found["vanishing"] = (
            f"The deltas vanish on their way back: {times}, so that the first layers hardly learn. "
            "Try relu or another activation, network.normalization, or fewer layers."
        )
    if ratio > EXPLODING:
        found["exploding"] = (
            f"The deltas explode on their way back: {times}. "
            "Try network.normalization, a smaller initializer, optimizer.clip_norm, or a smaller learning_rate."
        )
    dead = [number for number, layer in enumerate(layers[:-1], start=1) if layer["dead_fraction"] >= DEAD]
    if dead:
        found["dead"] = (
            f"In layer {', '.join(map(str, dead))} nine of ten units or more put out 0 for every row. "
            "Try leaky_relu or elu, or a smaller learning_rate."
        )
    return found


def norm(array: Array) -> float:
    """The Euclidean norm of all numbers of an array."""
    return math.sqrt(float(np.multiply(array, array).sum(axis=(-2, -1)).astype(np.float64)))
