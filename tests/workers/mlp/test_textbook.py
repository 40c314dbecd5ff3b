"""The fast core beside the textbook's scalars: its worked example to the last number, then networks of any shape."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.oracles.textbook import ELEMENTWISE, Textbook, Weights
from tests.workers.mlp.making import HIDDEN, IN_THE_TEXTBOOK, random_batch, random_parameters
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.choices import name_of
from workers.mlp.losses import minimum_outputs
from workers.mlp.network import Network
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters

EXAMPLE = [[[0.1, 0.8], [0.4, 0.2]], [[0.6, 0.3], [0.4, 0.9]], [[0.9], [0.2]]]
STEEPEST = 15.0  # a sum beyond, as of exponentials of exponentials, costs the textbook's plain formulas their digits
X, Y, RATE = [1.0, 0.0], [1.0], 0.5


def example() -> tuple[Textbook, Architecture, Parameters]:
    shape = Architecture(
        inputs=2,
        layers=(LayerShape(2, "sigmoid"), LayerShape(2, "sigmoid"), LayerShape(1, "sigmoid")),
        loss="log_loss",
        bias=False,
        precision="float64",
    )
    parameters = Parameters(shape)
    for weights, values in zip(parameters.W, EXAMPLE, strict=True):
        weights[...] = values
    return Textbook([[list(row) for row in w] for w in EXAMPLE], ["sigmoid"] * 3, "log_loss", False), shape, parameters


def scalars(parameters: Parameters) -> Weights:
    """The textbook's w[l][i][j], biases as row 0."""
    biases = [[bias.tolist()] for bias in parameters.b] or [[] for _ in parameters.W]
    return [bias + weights.tolist() for bias, weights in zip(biases, parameters.W, strict=True)]


def test_the_worked_example_forward() -> None:
    _, shape, parameters = example()
    network = Network(shape, rows=1)
    output = network.forward(parameters, np.array([X]))
    assert output.item() == pytest.approx(0.67179, abs=5e-6)
    assert network.layers(1)[0].a[0] == pytest.approx([0.524979, 0.689974], abs=1e-6)
    assert network.layers(1)[1].a[0] == pytest.approx([0.643589, 0.685350], abs=1e-6)


def test_the_worked_example_step_by_step() -> None:
    textbook, shape, parameters = example()
    network, gradient = Network(shape, rows=1), Parameters(shape)

    sums = network.gradient(parameters, np.array([X]), np.array([Y]), None, gradient)
    by_hand = textbook.run(X, Y)
    gradient_by_hand, loss = textbook.gradient([X], [Y], [1.0])

    assert sums.loss == pytest.approx(loss, rel=1e-14)
    for layer, buffers in enumerate(network.layers(1), start=1):
        assert buffers.a[0] == pytest.approx(by_hand.a[layer], rel=1e-14)
        assert buffers.delta[0] == pytest.approx(by_hand.delta[layer], rel=1e-13)
    for found, expected in zip(gradient.W, gradient_by_hand, strict=True):
        assert np.allclose(found, expected, rtol=1e-13, atol=0)

    SGD(RATE).update(parameters, gradient, sums.weight, [])
    textbook.descend(gradient_by_hand, 1.0, RATE)
    for found, expected in zip(parameters.W, textbook.w, strict=True):
        assert np.allclose(found, expected, rtol=1e-14, atol=0)

    second = network.forward(parameters, np.array([X])).item()
    assert second == pytest.approx(textbook.run(X, Y).a[-1][0], rel=1e-14)
    assert second == pytest.approx(0.70432, abs=5e-6)


def test_with_a_bias_the_example_would_not_give_the_published_figures() -> None:
    textbook, _, _ = example()
    with_bias = Textbook([[[0.0] * len(w[0]), *w] for w in textbook.w], textbook.activations, "log_loss", True)
    gradient, _ = with_bias.gradient([X], [Y], [1.0])
    with_bias.descend(gradient, 1.0, RATE)
    assert with_bias.run(X, Y).a[-1][0] > 0.7069


@st.composite
def shapes(draw: st.DrawFn) -> Architecture:
    loss, output = draw(st.sampled_from(IN_THE_TEXTBOOK))
    units = st.integers(1, 4)
    hidden = draw(
        st.lists(
            st.builds(LayerShape, units, st.sampled_from([name for name in HIDDEN if name in ELEMENTWISE])), max_size=3
        )
    )
    outputs = draw(st.integers(minimum_outputs(loss, output), 4))
    return Architecture(draw(units), (*hidden, LayerShape(outputs, output)), loss, draw(st.booleans()), "float64")


@settings(max_examples=150)
@given(shapes(), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_any_network_computes_what_the_textbook_does(shape: Architecture, rows: int, seed: int) -> None:
    parameters, gradient = random_parameters(shape, seed), Parameters(shape)
    x, y = random_batch(shape, rows, seed + 1)
    weights = np.random.default_rng(seed).uniform(0.1, 2, rows)
    activations = [name_of(layer.activation) for layer in shape.layers]
    textbook = Textbook(scalars(parameters), activations, name_of(shape.loss), shape.bias)

    network = Network(shape, rows + 1)
    sums = network.gradient(parameters, x, y, weights, gradient)
    assume(all(np.abs(layer.z).max() < STEEPEST for layer in network.layers(rows)))
    expected, loss = textbook.gradient(x.tolist(), y.tolist(), weights.tolist())

    assert sums.loss == pytest.approx(loss, rel=1e-9, abs=1e-12)
    assert sums.weight == pytest.approx(sum(weights), rel=1e-14)
    for found, layer in zip(scalars(gradient), expected, strict=True):
        assert np.allclose(found, layer, rtol=1e-9, atol=1e-12)

    SGD(RATE).update(parameters, gradient, sums.weight, [])
    textbook.descend(expected, sum(weights), RATE)
    for found, layer in zip(scalars(parameters), textbook.w, strict=True):
        assert np.allclose(found, layer, rtol=1e-9, atol=1e-12)


def test_sizes_count_the_parameters() -> None:
    _, shape, parameters = example()
    assert shape.parameter_count == sum(below * units for below, units in pairwise(shape.sizes)) == 10
    assert sum(array.size for array in parameters.named().values()) == 10
