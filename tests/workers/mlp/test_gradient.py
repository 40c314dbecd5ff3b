"""The gradient is the derivative of the loss: finite differences, for every allowed pair and hidden activation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.workers.mlp.making import EACH_COMBINATION, EVERY_PAIR, architecture, random_batch, random_parameters
from workers.mlp.arrays import Array
from workers.mlp.network import Network
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters

STEP = 1e-5


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "plain"])
@EACH_COMBINATION
def test_gradient_agrees_with_finite_differences(
    pair: tuple[str, str], hidden: str, weighted: bool, bias: bool
) -> None:
    shape = architecture(pair, (3, 4, 3), hidden, bias=bias)
    parameters, gradient = random_parameters(shape, seed=3), Parameters(shape)
    x, y = random_batch(shape, rows=5, seed=4)
    weights = np.array([0.5, 2.0, 0.0, 1.0, 3.0]) if weighted else None
    network = Network(shape, rows=5)
    network.gradient(parameters, x, y, weights, gradient)

    def loss_at(array: Array, place: tuple[int, ...], value: float) -> float:
        kept, array[place] = array[place], value
        loss = network.sums(parameters, x, y, weights).loss
        array[place] = kept
        return loss

    for name, array in parameters.named().items():
        found = gradient.named()[name]
        for place in np.ndindex(array.shape):
            value = float(array[place])
            numeric = (loss_at(array, place, value + STEP) - loss_at(array, place, value - STEP)) / (2 * STEP)
            assert found[place] == pytest.approx(numeric, rel=1e-6, abs=1e-6), (name, place)


@pytest.mark.parametrize("pair", EVERY_PAIR, ids="-".join)
def test_no_hidden_layer_is_the_single_layer_delta_rule(pair: tuple[str, str]) -> None:
    shape = architecture(pair, (4, 3))
    parameters, gradient = random_parameters(shape, seed=1), Parameters(shape)
    x, y = random_batch(shape, rows=6, seed=2)
    network = Network(shape, rows=6)
    network.gradient(parameters, x, y, None, gradient)

    delta = network.layers(6)[0].delta
    assert np.allclose(gradient.W[0], sum(np.outer(x[row], delta[row]) for row in range(6)), rtol=1e-12)
    assert np.allclose(gradient.b[0], sum(delta), rtol=1e-12)


def test_a_row_counts_as_often_as_its_weight_says() -> None:
    shape = architecture(("cross_entropy", "softmax"), (3, 4, 3))
    parameters = random_parameters(shape, seed=5)
    x, y = random_batch(shape, rows=3, seed=6)
    weighted, repeated = Parameters(shape), Parameters(shape)
    times = [2, 0, 1]

    by_weight = Network(shape, rows=3).gradient(parameters, x, y, np.array(times, float), weighted)
    again = Network(shape, rows=3).gradient(
        parameters, np.repeat(x, times, axis=0), np.repeat(y, times, axis=0), None, repeated
    )

    assert np.allclose(weighted.flat, repeated.flat, rtol=1e-12)
    assert by_weight[:3] == pytest.approx(again[:3], rel=1e-12)


def test_evaluation_gives_the_sums_of_the_gradient_pass() -> None:
    shape = architecture(("log_loss", "sigmoid"), (3, 4, 1), precision="float32")
    parameters = random_parameters(shape, seed=7)
    x, y = random_batch(shape, rows=9, seed=8)
    network = Network(shape, rows=9)

    sums = network.sums(parameters, x, y, None)

    assert sums == network.gradient(parameters, x, y, None, Parameters(shape))
    outputs = network.forward(parameters, x)[:, 0]
    assert sums.weight == 9
    assert sums.correct == sum((outputs > 0.5) == (y[:, 0] > 0.5))


def test_weights_that_diverge_show_in_the_loss_and_not_as_warnings() -> None:
    shape = architecture(("squared_error", "identity"), (3, 4, 2), "relu", precision="float32")
    parameters, gradient = random_parameters(shape, seed=9), Parameters(shape)
    x, y = random_batch(shape, rows=5, seed=10)
    network, optimizer = Network(shape, rows=5), SGD(1e9, momentum=0.9)
    state = optimizer.state(parameters)
    losses = []
    for _ in range(20):
        sums = network.gradient(parameters, x, y, None, gradient)
        optimizer.update(parameters, gradient, sums.weight, state)
        losses.append(sums.loss)
    assert math.isfinite(losses[0])
    assert not math.isfinite(losses[-1])


def test_more_rows_than_there_is_memory_for_are_refused() -> None:
    shape = architecture(("squared_error", "identity"), (2, 1))
    network = Network(shape, rows=4)
    with pytest.raises(ValueError, match="rows: 5; allowed: 1 to 4"):
        network.forward(random_parameters(shape, seed=0), np.ones((5, 2)))
