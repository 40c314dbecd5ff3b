"""The first weights: their spread, and that they belong to seed and layer alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workers.mlp.making import HIDDEN, Precision, architecture
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.arrays import Array
from workers.mlp.choices import Choice
from workers.mlp.initializers import INITIALIZERS, initialize
from workers.mlp.parameters import Parameters


@pytest.mark.parametrize("hidden", HIDDEN)
def test_weights_fill_their_range_and_biases_are_zero(hidden: str) -> None:
    shape = architecture(("cross_entropy", "softmax"), (100, 80, 3), hidden)
    parameters = Parameters(shape)
    parameters.flat.fill(9)
    initialize(parameters, seed=1)
    limit = np.sqrt(6 / 180)
    assert np.abs(parameters.W[0]).max() == pytest.approx(limit, rel=1e-2)
    assert np.abs(parameters.W[0]).max() <= limit
    assert parameters.W[0].std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert all(np.all(bias == 0) for bias in parameters.b)
    assert all(np.all(slope == 0.25) for others in parameters.others for slope in others.values())


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


def drawn(choice: Choice, inputs: int, units: int, precision: Precision = "float64") -> Array:
    parameters = Parameters(architecture(("squared_error", "identity"), (inputs, units), precision=precision))
    initialize(parameters, 5, choice)
    return parameters.W[0]


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / 500),
        ("glorot_normal", 2 / 500),
        ("he_uniform", 2 / 300),
        ("he_normal", 2 / 300),
        ("lecun_uniform", 1 / 300),
        ("lecun_normal", 1 / 300),
        ("uniform", 0.05**2 / 3),
        ("orthogonal", 1 / 300),
        ("zeros", 0),
    ],
)
def test_each_has_its_variance_and_its_distribution(name: str, variance: float) -> None:
    weights = drawn(name, 300, 200)
    assert weights.std() == pytest.approx(np.sqrt(variance), rel=0.01)
    assert weights.mean() == pytest.approx(0, abs=1e-3)
    uniform = name == "uniform" or name.endswith("_uniform")
    assert (np.abs(weights).max() <= np.sqrt(3 * variance) * (1 + 1e-15)) == (uniform or name == "zeros")
    assert np.array_equal(drawn(name, 300, 200, "float32"), weights.astype(np.float32))


def test_every_initializer_is_tried_above() -> None:
    (marker,) = test_each_has_its_variance_and_its_distribution.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in marker.args[1]} == set(INITIALIZERS)


@pytest.mark.parametrize(("inputs", "units"), [(7, 4), (4, 7), (5, 5), (1, 3)])
def test_orthogonal_weights_are_orthogonal_and_have_their_gain(inputs: int, units: int) -> None:
    weights = drawn({"name": "orthogonal", "gain": 1.5}, inputs, units)
    small = weights @ weights.T if inputs < units else weights.T @ weights
    assert small == pytest.approx(1.5**2 * np.eye(min(inputs, units)), abs=1e-14)


def test_orthogonal_weights_prefer_no_sign() -> None:
    shape = architecture(("squared_error", "identity"), (2, 2))
    stacked = Parameters(shape, (400,))
    initialize(stacked, list(range(400)), "orthogonal")
    assert abs(np.sign(stacked.W[0]).mean(axis=0)).max() < 0.2


def test_prelu_begins_with_the_slope_of_its_field() -> None:
    layers = (LayerShape(4, {"name": "prelu", "slope": 0.1}), LayerShape(2, "identity"))
    parameters = Parameters(Architecture(3, layers, "squared_error"))
    initialize(parameters, 1)
    assert np.array_equal(parameters.named()["slope1"], np.full(4, 0.1, np.float32))
    assert parameters.architecture.parameter_count == 4 * 4 + 4 + 5 * 2


def test_members_of_a_population_get_the_weights_of_their_seeds_by_every_initializer() -> None:
    shape = architecture(("squared_error", "identity"), (4, 5, 2), "prelu")
    for name in INITIALIZERS:
        stacked, solo = Parameters(shape, (2,)), Parameters(shape)
        initialize(stacked, [7, 8], name)
        initialize(solo, 8, name)
        assert stacked.member((1,)).sha256() == solo.sha256()


def test_an_initializer_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="initializer: 'xavier'; allowed: glorot_uniform"):
        drawn("xavier", 2, 2)
