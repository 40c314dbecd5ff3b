"""The gradient check takes what is right for right, at corners and far from scale too, and names what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.workers.mlp.making import EACH_COMBINATION, architecture, random_batch, random_parameters
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.arrays import Array, Workspace
from workers.mlp.gradient_check import MOST_OF_AN_ARRAY, GradientCheck, check_gradient
from workers.mlp.parameters import Parameters


def check(parameters: Parameters, weights: Array | None = None, seed: int = 3) -> GradientCheck:
    x, y = random_batch(parameters.architecture, 8, 2)
    return check_gradient(parameters, x, y, weights, seed)


@EACH_COMBINATION
def test_right_gradients_pass(pair: tuple[str, str], hidden: str) -> None:
    parameters = random_parameters(architecture(pair, (3, 5, 4, 2), hidden, precision="float32"), 1)
    before = parameters.flat.copy()
    found = check(parameters, np.linspace(0.0, 2.0, 8, dtype=np.float32))
    assert found.passed
    assert found.worst_relative_error is not None
    assert found.worst_relative_error < 1e-5
    assert found.checked == parameters.architecture.parameter_count
    assert np.array_equal(parameters.flat, before)


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_dropout_keeps_its_masks_and_statistics_are_those_of_the_samples(normalization: Any) -> None:
    hidden = LayerShape(6, "tanh", normalization, dropout=0.5)
    layers = (hidden, hidden, LayerShape(2, "softmax"))
    parameters = random_parameters(Architecture(3, layers, "cross_entropy", input_dropout=0.3), 1)
    found = check(parameters)
    assert found.passed
    assert found.checked == parameters.architecture.parameter_count


def test_corners_are_no_mistake() -> None:
    shape = architecture(("squared_error", "identity"), (3, 50, 20, 1), "relu")
    for parameters in (Parameters(shape), *(random_parameters(shape, seed) for seed in range(5))):
        for bias in parameters.b:
            bias[...] = 0
        assert check(parameters).passed


@pytest.mark.parametrize("scale", [1e-9, 1e4, 1.7e9])
def test_inputs_that_nobody_has_scaled(scale: float) -> None:
    for pair, hidden in ((("squared_error", "identity"), "tanh"), (("cross_entropy", "softmax"), "relu")):
        shape = architecture(pair, (3, 5, 2), hidden)
        x, y = random_batch(shape, 8, 2)
        assert check_gradient(random_parameters(shape, 1), x * scale, y, None, 0).passed


def test_a_wrong_derivative_is_found_and_the_array_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.mlp.activations.classic import Tanh

    right = Tanh.derivative

    def wrong(self: Tanh, z: Array, a: Array, out: Array, work: Workspace) -> None:
        right(self, z, a, out, work)
        np.multiply(out, 1.001, out=out)

    monkeypatch.setattr(Tanh, "derivative", wrong)
    found = check(random_parameters(architecture(("squared_error", "identity"), (3, 5, 1), "tanh"), 1))
    assert not found.passed
    assert found.worst_relative_error == pytest.approx(0.001, rel=0.1)
    assert found.parameter is not None
    assert found.parameter.split("[")[0] in ("W1", "b1")


def test_of_a_large_array_a_part_is_checked_drawn_by_the_seed() -> None:
    parameters = random_parameters(architecture(("squared_error", "identity"), (30, 40, 1), "tanh"), 1)
    found = check(parameters)
    assert found.checked == MOST_OF_AN_ARRAY + 40 + 40 + 1
    assert check(parameters) == found
    assert check(parameters, seed=4) != found


def test_of_a_loss_that_is_not_finite_nothing_is_said() -> None:
    parameters = random_parameters(architecture(("squared_error", "identity"), (3, 5, 1), "tanh"), 1)
    parameters.b[-1][...] = np.inf
    assert check(parameters) == GradientCheck(None, None, 0)
