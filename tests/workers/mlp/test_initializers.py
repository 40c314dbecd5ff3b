"""The first weights: their spread, and that they belong to seed and layer alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workers.mlp.making import HIDDEN, Precision, architecture
from workers.mlp.initializers import initialize, uniform_limit
from workers.mlp.parameters import Parameters


@pytest.mark.parametrize("hidden", HIDDEN)
def test_weights_fill_their_range_and_biases_are_zero(hidden: str) -> None:
    shape = architecture(("cross_entropy", "softmax"), (100, 80, 3), hidden)
    parameters = Parameters(shape)
    parameters.flat.fill(9)
    initialize(parameters, seed=1)
    limit = np.sqrt(6 / 180)
    assert uniform_limit(100, 80) == pytest.approx(limit, rel=1e-15)
    assert np.abs(parameters.W[0]).max() == pytest.approx(limit, rel=1e-2)
    assert np.abs(parameters.W[0]).max() <= limit
    assert parameters.W[0].std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert all(np.all(bias == 0) for bias in parameters.b)


def test_float32_weights_are_the_float64_ones_cast_once() -> None:
    weights = []
    precisions: tuple[Precision, ...] = ("float32", "float64")
    for precision in precisions:
        shape = architecture(("squared_error", "identity"), (6, 5, 1), precision=precision)
        weights.append(Parameters(shape))
        initialize(weights[-1], seed=2**62)
    assert np.array_equal(weights[0].W[0], weights[1].W[0].astype(np.float32))


def test_a_layer_added_behind_leaves_the_weights_before_it() -> None:
    short = architecture(("squared_error", "identity"), (6, 5, 4), "identity")
    long = architecture(("squared_error", "identity"), (6, 5, 4, 2), "identity")
    first, second = Parameters(short), Parameters(long)
    initialize(first, seed=3)
    initialize(second, seed=3)
    assert np.array_equal(first.W[0], second.W[0])
    assert np.array_equal(first.W[1], second.W[1])
    assert not np.array_equal(first.W[1].ravel()[:8], second.W[2].ravel())
