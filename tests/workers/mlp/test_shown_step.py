"""A step shown with every number is the step that training does; with frozen statistics, its gradient is numerical."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workers.mlp.making import EACH_COMBINATION, HIDDEN, Precision, architecture, random_batch, random_parameters
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.mlp.shown_step import show_step


@pytest.mark.parametrize("precision", ["float32", "float64"])
@EACH_COMBINATION
def test_it_is_what_training_computes(pair: tuple[str, str], hidden: str, precision: Precision) -> None:
    shape = architecture(pair, (3, 5, 4, 2), hidden, precision=precision)
    parameters, gradient = random_parameters(shape, 1), Parameters(shape)
    x, y = random_batch(shape, 1, 2)
    step = show_step(parameters, x, y, 0.25)
    network = Network(shape, 1)
    sums = network.gradient(parameters, x, y, None, gradient)
    assert np.array_equal(step.gradient.flat, gradient.flat)
    assert step.loss == sums.loss
    for shown, buffers in zip(step.layers, network.layers(1), strict=True):
        assert np.array_equal(shown.a, buffers.a)
        assert np.array_equal(shown.delta, buffers.delta)
    rate = shape.dtype.type(0.25)
    assert np.array_equal(step.updated.flat, parameters.flat - rate * gradient.flat)
    assert np.array_equal(step.output, network.forward(parameters, x)[0])
    assert np.array_equal(step.output_after, network.forward(step.updated, x)[0])
    assert step.loss_after == network.sums(step.updated, x, y, None).loss


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_a_normalised_network_is_shown_as_it_predicts(normalization: str) -> None:
    hidden = LayerShape(4, "tanh", normalization, dropout=0.5)  # type: ignore[arg-type]
    layers = (hidden, hidden, LayerShape(2, "softmax"))
    shape = Architecture(3, layers, "cross_entropy", precision="float64", input_dropout=0.5)
    parameters = random_parameters(shape, 1)
    for others in parameters.others:
        others.get("running_variance", np.zeros(1))[...] += 2
    x, y = random_batch(shape, 1, 2)
    step, network = show_step(parameters, x, y, 0.1), Network(shape, 1)
    assert np.array_equal(step.output, network.forward(parameters, x)[0])
    assert np.allclose(step.layers[-1].a[0], step.output, rtol=0, atol=1e-14)
    trained, found = parameters.trained, step.gradient.trained
    for place in range(len(trained)):
        was, losses = trained[place], []
        for move in (1e-6, -1e-6):
            trained[place] = was + move
            losses.append(network.sums(parameters, x, y, None).loss)
        trained[place] = was
        assert found[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-8)
    running = len(trained)
    assert np.array_equal(step.updated.flat[running:], parameters.flat[running:])


def test_the_slope_is_the_derivative_of_f() -> None:
    for hidden in HIDDEN:
        shape = architecture(("squared_error", "identity"), (3, 6, 1), hidden)
        parameters = random_parameters(shape, 1)
        x, y = random_batch(shape, 1, 2)
        layer = show_step(parameters, x, y, 0.0).layers[0]
        moved = []
        for move in (1e-6, -1e-6):
            parameters.b[0][...] += move
            moved.append(show_step(parameters, x, y, 0.0).layers[0].a)
            parameters.b[0][...] -= move
        slope = layer.slope()
        assert slope is not None
        assert np.allclose(slope, (moved[0] - moved[1]) / 2e-6, rtol=1e-6, atol=1e-8)


def test_softmax_has_no_slope_of_one_unit() -> None:
    shape = architecture(("cross_entropy", "softmax"), (3, 4, 3))
    x, y = random_batch(shape, 1, 2)
    step = show_step(random_parameters(shape, 1), x, y, 0.1)
    assert step.layers[-1].slope() is None
    assert step.layers[0].slope() is not None
