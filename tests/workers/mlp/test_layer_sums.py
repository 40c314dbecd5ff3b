"""What is said of a layer: its deltas, its dead and saturated units, the same whatever shards it was seen in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workers.mlp.making import architecture, random_batch, random_parameters
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_the_sums_are_those_of_the_buffers_and_of_any_cut(hidden: str) -> None:
    shape = architecture(("cross_entropy", "softmax"), (3, 8, 6, 2), hidden)
    parameters = random_parameters(shape, seed=1)
    parameters.b[0][:3] = -100  # relu: 0 for every row; tanh: saturated
    x, y = random_batch(shape, rows=10, seed=2)
    network, gradient = Network(shape, 10), Parameters(shape)
    whole = network.gradient(parameters, x, y, None, gradient, observe=True)
    first = network.layers(10)[0]
    sums = whole.layers[0]
    assert sums.delta_norm == pytest.approx(np.sqrt((first.delta**2).sum(axis=-1).mean()))
    assert sums.alive[:3].any() == (hidden != "relu")
    assert sums.dead_fraction == (first.a == 0).all(axis=0).mean() < 1
    derivative = (first.a > 0) if hidden == "relu" else 1 - first.a**2
    assert sums.saturated_fraction == (np.abs(derivative) < 0.01).mean()
    assert all(layer.finite for layer in whole.layers)

    parts = [
        network.gradient(parameters, x[rows], y[rows], None, gradient, observe=True)
        for rows in (slice(0, 4), slice(4, 10))
    ]
    together = parts[0].plus(parts[1])
    for mine, its in zip(together.layers, whole.layers, strict=True):
        assert mine.delta_norm == pytest.approx(its.delta_norm, rel=1e-12)
        assert (mine.dead_fraction, mine.saturated_fraction) == (its.dead_fraction, its.saturated_fraction)


def test_prediction_is_looked_at_without_deltas_and_only_when_asked() -> None:
    shape = architecture(("squared_error", "identity"), (3, 4, 1), "relu")
    parameters = random_parameters(shape, seed=1)
    x, y = random_batch(shape, rows=5, seed=2)
    network = Network(shape, 5)
    assert network.sums(parameters, x, y, None).layers == ()
    assert network.gradient(parameters, x, y, None, Parameters(shape)).layers == ()
    predicted = network.sums(parameters, x, y, None, observe=True).layers
    assert [layer.delta_squares for layer in predicted] == [0, 0]


def test_the_layer_where_numbers_end_is_seen() -> None:
    shape = architecture(("squared_error", "identity"), (3, 4, 4, 1), "relu")
    parameters = random_parameters(shape, seed=1)
    parameters.W[1][...] = 1e308
    parameters.b[0][...] = 1e10
    x, y = random_batch(shape, rows=5, seed=2)
    layers = Network(shape, 5).gradient(parameters, x, y, None, Parameters(shape), observe=True).layers
    assert [layer.finite for layer in layers] == [True, False, False]
