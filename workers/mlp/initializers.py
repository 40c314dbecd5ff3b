"""The first weights, from a seed. Know nothing of training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workers.mlp.parameters import Parameters
from workers.mlp.random import Purpose, philox

STARTS = {"gain": 1.0, "shift": 0.0, "running_mean": 0.0, "running_variance": 1.0}


def initialize(parameters: Parameters, seed: int | Sequence[int]) -> None:
    """Write each network's first weights: uniform in ±limit by layer, biases 0.

    A population takes one seed, or one for each network; each member gets the weights of its solo run.
    """
    seeds = np.broadcast_to(np.asarray(seed, np.int64), parameters.networks)
    for index in np.ndindex(parameters.networks):
        member = parameters.member(index)
        for layer, weights in enumerate(member.W):
            limit = uniform_limit(*weights.shape)
            generator = philox(int(seeds[index]), Purpose.WEIGHTS, layer=layer)
            weights[...] = generator.uniform(-limit, limit, weights.shape)
        for bias in member.b:
            bias[...] = 0
        for others in member.others:
            for name, array in others.items():
                array[...] = STARTS[name]


def uniform_limit(inputs: int, units: int) -> float:
    """Return √(6 / (inputs + units)), the limit that keeps the spread of signals and deltas from layer to layer.

    It serves relu too, as in scikit-learn: twice the variance (He et al., 2015) brings a regression on standardised
    data to the edge of stability at its usual rate.
    Source: Glorot and Bengio (2010), eq. 16.
    """
    return math.sqrt(6 / (inputs + units))
