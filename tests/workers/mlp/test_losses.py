"""The losses: which outputs they take, their values, and that no confidence makes them infinite or silent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.oracles import textbook
from tests.workers.mlp.making import EVERY_PAIR, IN_THE_TEXTBOOK, Precision, architecture, random_batch
from workers.mlp.arrays import Array
from workers.mlp.initializers import initialize
from workers.mlp.losses import allowed_activations, find_loss
from workers.mlp.network import Network
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters

MATCHED = {"squared_error": "identity", "log_loss": "sigmoid", "cross_entropy": "softmax"}
WITH_LOGARITHM = [pair for pair in EVERY_PAIR if pair[0] in ("log_loss", "cross_entropy", "focal")]


def through_identity_weights(pair: tuple[str, str], z: Array) -> tuple[Network, Parameters]:
    """A network without hidden layer whose net input is its input."""
    units = z.shape[-1]
    precision: Precision = "float32" if z.dtype == np.float32 else "float64"
    shape = architecture(pair, (units, units), bias=False, precision=precision)
    parameters = Parameters(shape)
    parameters.W[0][...] = np.eye(units)
    return Network(shape, len(z)), parameters


def test_the_allowed_pairs() -> None:
    assert set(allowed_activations("squared_error")) >= {"identity", "sigmoid", "tanh", "relu", "softmax"}
    assert set(allowed_activations("log_loss")) == {"sigmoid", "softmax"}
    assert set(allowed_activations("cross_entropy")) == {"sigmoid", "softmax"}
    assert all(activation in allowed_activations(loss) for loss, activation in MATCHED.items())


@pytest.mark.parametrize(("loss", "output"), [("log_loss", "tanh"), ("cross_entropy", "relu")])
def test_a_pair_that_is_not_allowed_is_named(loss: str, output: str) -> None:
    with pytest.raises(ValueError, match=f"'{loss}'.*'{output}'; allowed: "):
        find_loss(loss, output)


@pytest.mark.parametrize("pair", IN_THE_TEXTBOOK, ids="-".join)
def test_values_are_the_textbooks(pair: tuple[str, str]) -> None:
    loss, output = pair
    z = np.array([[0.5, -1.5, 2.0], [0.0, 0.0, 0.0], [-9.0, 8.0, 1.0]])
    _, y = random_batch(architecture(pair, (3, 3)), rows=3, seed=1)
    network, parameters = through_identity_weights(pair, z)
    for row in range(3):
        sums = network.sums(parameters, z[row : row + 1], y[row : row + 1], None)
        expected = textbook.loss(loss, textbook.f(output, z[row].tolist()), y[row].tolist())
        assert sums.loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", MATCHED)
def test_the_matched_pairs_have_the_delta_o_minus_y(loss: str) -> None:
    z = np.array([[0.5, -1.5, 2.0], [40.0, -40.0, 0.0]])
    y = np.eye(3)[[1, 0]]
    network, parameters = through_identity_weights((loss, MATCHED[loss]), z)
    network.gradient(parameters, z, y, None, Parameters(network.architecture))
    output = network.layers(2)[-1]
    assert np.array_equal(output.delta, output.a - y)


@pytest.mark.parametrize("scale", [1, 20, 100, 1e4, 1e30])
@pytest.mark.parametrize("pair", WITH_LOGARITHM, ids="-".join)
def test_a_confident_wrong_row_keeps_a_finite_loss_and_its_gradient(pair: tuple[str, str], scale: float) -> None:
    z = np.array([[1, -1, -0.5], [0.5, 0.5, -1], [-1, 0.75, 1], [1, -0.5, -1]], np.float32) * np.float32(scale)
    y = np.eye(3, dtype=np.float32)[[1, 2, 0, 0]]  # three wrong rows and a right one
    network, parameters = through_identity_weights(pair, z)

    sums = network.gradient(parameters, z, y, None, Parameters(network.architecture))
    delta = network.layers(4)[-1].delta

    assert math.isfinite(sums.loss)
    assert sums.loss >= scale
    assert np.all(np.isfinite(delta))
    assert np.all(delta[[0, 1, 2], [1, 2, 0]] < -0.5)  # each wrong row pulls its own class up
    right = network.sums(parameters, z[3:], y[3:], None).loss
    assert 0 <= right <= sums.loss / 4


@pytest.mark.parametrize("pair", WITH_LOGARITHM, ids="-".join)
def test_float32_deltas_are_those_of_exact_arithmetic(pair: tuple[str, str]) -> None:
    z = np.random.default_rng(2).normal(scale=6, size=(64, 4)).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[np.random.default_rng(3).integers(4, size=64)]
    deltas = []
    for array, target in ((z, y), (z.astype(np.float64), y.astype(np.float64))):
        network, parameters = through_identity_weights(pair, array)
        network.gradient(parameters, array, target, None, Parameters(network.architecture))
        deltas.append(network.layers(64)[-1].delta)
    assert np.allclose(deltas[0], deltas[1], rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "cross_entropy"])
def test_softmax_deltas_sum_to_zero_since_a_shift_changes_nothing(loss: str) -> None:
    z = np.random.default_rng(4).normal(scale=10, size=(50, 5))
    y = np.eye(5)[np.random.default_rng(5).integers(5, size=50)]
    network, parameters = through_identity_weights((loss, "softmax"), z)
    network.gradient(parameters, z, y, None, Parameters(network.architecture))
    assert network.layers(50)[-1].delta.sum(axis=-1) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("hidden", [(), (4,)], ids=["single_layer", "one_hidden_layer"])
@pytest.mark.parametrize("pair", WITH_LOGARITHM, ids="-".join)
def test_separable_data_of_a_huge_scale_never_diverges(pair: tuple[str, str], hidden: tuple[int, ...]) -> None:
    """Two classes, features × 10⁴, rate 10, float32, and one row with the wrong label."""
    generator = np.random.default_rng(6)
    outputs = 1 if pair == ("log_loss", "sigmoid") else 2
    shape = architecture(pair, (2, *hidden, outputs), "tanh", precision="float32")
    classes = generator.integers(2, size=40)
    x = ((2 * classes - 1)[:, np.newaxis] + generator.uniform(-0.5, 0.5, (40, 2))).astype(np.float32) * 1e4
    classes[0] ^= 1
    y = (classes[:, np.newaxis] if outputs == 1 else np.eye(2)[classes]).astype(np.float32)
    parameters, gradient, network = Parameters(shape), Parameters(shape), Network(shape, rows=40)
    initialize(parameters, seed=0)
    optimizer = SGD(learning_rate=10)
    for _ in range(50):
        sums = network.gradient(parameters, x, y, None, gradient)
        assert math.isfinite(sums.loss)
        assert sums.loss >= 0
        delta = network.layers(40)[-1].delta[0].copy()
        mislabelled = network.sums(parameters, x[:1], y[:1], None).loss
        assert mislabelled < 0.5 or np.any(delta != 0)
        optimizer.update(parameters, gradient, sums.weight, [])
        assert np.all(np.isfinite(parameters.flat))
    assert mislabelled >= 0.5  # no line learns the wrong label, and the hidden layer is saturated
