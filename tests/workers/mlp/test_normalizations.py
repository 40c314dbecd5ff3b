"""Normalised layers: their gradients, their statistics, and PyTorch's definition written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from tests.oracles import normalized as pytorch
from tests.workers.mlp.making import Precision, architecture, random_batch, random_parameters
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.initializers import initialize
from workers.mlp.network import Network
from workers.mlp.normalizations import EPSILON, MOMENTUM, NORMALIZATIONS, follow_running
from workers.mlp.parameters import Parameters
from workers.mlp.random import RowPlace

Kind = Literal["none", "batch", "layer"]
PLACE = RowPlace(seed=3, epoch=1, step=2, row=0)
KINDS_AND_AXES: tuple[tuple[Kind, int], ...] = (("layer", -1), ("batch", -2))
ACTIVATIONS = ("relu", "tanh", "sigmoid")


def normalized(
    kind: Kind, activation: str = "tanh", dropout: float = 0.0, precision: Precision = "float64"
) -> Architecture:
    shape = architecture(("cross_entropy", "softmax"), (4, 6, 5, 3), activation, precision=precision)
    hidden = [replace(layer, normalization=kind, dropout=dropout) for layer in shape.layers[:-1]]
    return replace(shape, layers=(*hidden, shape.layers[-1]), input_dropout=dropout / 2)


def parameters_of(shape: Architecture, seed: int = 1, networks: tuple[int, ...] = ()) -> Parameters:
    parameters = random_parameters(shape, seed, networks)
    for others in parameters.others:
        if "running_variance" in others:
            np.abs(others["running_variance"], out=others["running_variance"])
    return parameters


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", [*NORMALIZATIONS, "none"])
def test_gradient_agrees_with_finite_differences(kind: Kind, activation: str, dropout: float) -> None:
    shape = normalized(kind, activation, dropout)
    parameters, gradient, other = parameters_of(shape), Parameters(shape), Parameters(shape)
    x, y = random_batch(shape, rows=7, seed=4)
    weights = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 1.0, 1.0])
    network = Network(shape, rows=7)
    network.gradient(parameters, x, y, weights, gradient, PLACE)

    def loss_at(place: int, value: float) -> float:
        kept, parameters.trained[place] = parameters.trained[place], value
        loss = network.gradient(parameters, x, y, weights, other, PLACE).loss
        parameters.trained[place] = kept
        return loss

    trained = {name for layer in shape.layers for name in layer.learned}
    assert trained == (set() if kind == "none" else {"gain", "shift"})
    for place in np.flatnonzero(parameters.trained).tolist():  # all but the padding
        value = float(parameters.trained[place])
        numeric = (loss_at(place, value + 1e-5) - loss_at(place, value - 1e-5)) / 2e-5
        assert gradient.trained[place] == pytest.approx(numeric, rel=1e-6, abs=1e-6)


def test_a_layer_has_mean_0_and_deviation_1_of_each_sample_or_unit() -> None:
    for kind, axis in KINDS_AND_AXES:
        shape = normalized(kind)
        parameters, gradient = Parameters(shape), Parameters(shape)
        initialize(parameters, seed=5)
        x, y = random_batch(shape, rows=50, seed=6)
        network = Network(shape, rows=50)
        network.gradient(parameters, x, y, None, gradient)
        kept = network.layers(50)[0].normalized
        assert kept is not None
        z = x @ parameters.W[0] + parameters.b[0]
        expected = (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + EPSILON)
        assert np.allclose(kept.hat, expected, rtol=1e-12, atol=1e-12)


def test_running_statistics_follow_those_of_the_whole_mini_batch() -> None:
    shape = normalized("batch")
    parameters = Parameters(shape)
    initialize(parameters, seed=5)
    parameters.b[0][...] = 1000  # far from 0, where sums of squares about 0 would lose the variance
    x, y = random_batch(shape, rows=32, seed=6)
    z = x @ parameters.W[0] + parameters.b[0]
    sums = None
    for part in (slice(0, 10), slice(10, 32)):
        gradient = Parameters(shape)
        Network(shape, 32).gradient(parameters, x[part], y[part], None, gradient)
        sums = gradient.flat if sums is None else sums + gradient.flat
    follow_running(parameters.others[0], Parameters(shape, flat=sums).others[0], 32)

    kept = 1 - MOMENTUM
    assert np.allclose(parameters.others[0]["running_mean"], MOMENTUM * z.mean(axis=0), rtol=1e-12)
    assert np.allclose(parameters.others[0]["running_variance"], kept + MOMENTUM * z.var(axis=0, ddof=1), rtol=1e-12)


def test_a_small_variance_far_from_0_is_not_lost_in_float32() -> None:
    shape = normalized("batch", precision="float32")
    parameters, gradient = Parameters(shape), Parameters(shape)
    initialize(parameters, seed=5)
    parameters.b[0][...] = 300
    network = Network(shape, 64)
    for step in range(200):
        x, y = random_batch(shape, rows=64, seed=step)
        network.gradient(parameters, x, y, None, gradient)
        follow_running(parameters.others[0], gradient.others[0], 64)
    x, _ = random_batch(shape, rows=5000, seed=1000)
    spread = (x @ parameters.W[0]).var(axis=0)
    assert np.allclose(parameters.others[0]["running_variance"], spread, rtol=0.2)


def test_prediction_takes_the_running_statistics() -> None:
    shape = normalized("batch")
    parameters = parameters_of(shape)
    x, _ = random_batch(shape, rows=3, seed=7)
    network = Network(shape, rows=3)
    together = network.forward(parameters, x).copy()
    alone = np.concatenate([network.forward(parameters, row[np.newaxis]).copy() for row in x])
    assert np.allclose(together, alone, rtol=1e-12)

    a: Array = x
    for layer, others in enumerate(parameters.others[:-1]):
        z = a @ parameters.W[layer] + parameters.b[layer]
        spread = np.sqrt(others["running_variance"] + EPSILON)
        a = np.tanh(others["gain"] * (z - others["running_mean"]) / spread + others["shift"])
    z = a @ parameters.W[-1] + parameters.b[-1]
    expected = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    assert np.allclose(together, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", [*NORMALIZATIONS, "none"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_stacked_networks_get_the_bits_of_each_alone(precision: Precision, kind: Kind) -> None:
    shape = normalized(kind, "relu", dropout=0.3, precision=precision)
    stacked = parameters_of(shape, networks=(3,))
    solos = [Parameters(shape, (), stacked.flat[index].copy()) for index in range(3)]
    x, y = random_batch(shape, rows=13, seed=2, networks=(3,))
    together, place = Parameters(shape, (3,)), RowPlace((7, 8, 9), 1, 2, 5)
    Network(shape, 20, (3,)).gradient(stacked, x, y, None, together, place)
    predicted = Network(shape, 20, (3,)).forward(stacked, x)
    for index, solo in enumerate(solos):
        alone, own = Parameters(shape), RowPlace(7 + index, 1, 2, 5)
        Network(shape, 20).gradient(solo, x[index], y[index], None, alone, own)
        assert together.flat[index].tobytes() == alone.flat.tobytes()
        assert predicted[index].tobytes() == Network(shape, 20).forward(solo, x[index]).tobytes()


def test_the_hash_takes_in_the_running_statistics() -> None:
    shape = normalized("batch")
    parameters = parameters_of(shape)
    names = ["W1", "b1", "gain1", "running_mean1", "running_variance1", "shift1", "W2"]
    assert list(parameters.named())[:7] == names
    before = parameters.sha256()
    parameters.others[1]["running_mean"][0] += 1
    assert parameters.sha256() != before
    assert parameters.trained.size < parameters.flat.size
    assert shape.parameter_count == 4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3 + 2 * (6 + 5)


@pytest.mark.parametrize("kind", pytorch.KINDS)
def test_training_goes_as_pytorch_recorded_it(kind: Kind) -> None:
    with np.load(pytorch.RECORD) as record:
        expected = {name.partition("/")[2]: record[name] for name in record.files if name.startswith(kind)}
    assert_trains_as(expected, kind)


def assert_trains_as(expected: pytorch.Arrays, kind: Kind) -> None:
    """Repeat PyTorch's training with momentum: losses, arrays, running statistics and predictions agree to 1e-9."""
    given = pytorch.inputs(kind)
    shape = architecture(("cross_entropy", "softmax"), pytorch.SIZES, "tanh")
    hidden = [replace(layer, normalization=kind) for layer in shape.layers[:-1]]
    shape = replace(shape, layers=(*hidden, shape.layers[-1]))
    parameters, gradient, network = Parameters(shape), Parameters(shape), Network(shape, pytorch.ROWS)
    initialize(parameters, seed=0)
    for name, array in parameters.named().items():
        if name in given:
            array[...] = given[name]

    velocity, losses = np.zeros_like(parameters.trained), []
    for step in range(pytorch.STEPS):
        rows = slice(step * pytorch.ROWS, (step + 1) * pytorch.ROWS)
        sums = network.gradient(parameters, given["x"][rows], given["y"][rows], None, gradient)
        velocity = 0.9 * velocity + gradient.trained / sums.weight
        parameters.trained[...] -= pytorch.RATE * velocity
        for others, of_step in zip(parameters.others[:-1], gradient.others[:-1], strict=True):
            if "running_mean" in others:
                follow_running(others, of_step, sums.rows)
        losses.append(sums.loss / sums.weight)
    found = {**parameters.named(), "losses": np.array(losses)}
    found["predicted"] = network.forward(parameters, given["x"][: pytorch.ROWS])
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.allclose(found[name], array, rtol=1e-9, atol=1e-9), name
