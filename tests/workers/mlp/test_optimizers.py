"""SGD, one number at a time: each term of its rule, and the mini-batch that has no weight."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workers.mlp.making import architecture, random_parameters
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters

SHAPE = architecture(("squared_error", "identity"), (3, 4, 2))


def steps(optimizer: SGD, gradients: list[float], weight_sum: float = 1.0, start: float = 1.0) -> list[float]:
    """Follow one weight through updates with these gradient sums."""
    parameters, gradient = Parameters(SHAPE), Parameters(SHAPE)
    parameters.flat.fill(start)
    state = optimizer.state(parameters)
    found = []
    for value in gradients:
        gradient.flat.fill(value)
        optimizer.update(parameters, gradient, weight_sum, state)
        found.append(float(parameters.b[0][0]))
    return found


def test_descent_averages_over_the_weight_sum() -> None:
    assert steps(SGD(0.5), [4.0, -8.0], weight_sum=4.0) == [0.5, 1.5]


def test_momentum_begins_with_the_gradient_and_then_gathers() -> None:
    assert steps(SGD(1.0, momentum=0.5), [1.0, 1.0, 1.0], start=0.0) == [-1.0, -2.5, -4.25]


def test_nesterov_looks_one_step_ahead() -> None:
    assert steps(SGD(1.0, momentum=0.5, nesterov=True), [1.0, 1.0], start=0.0) == [-1.5, -3.25]


def test_weight_decay_pulls_on_biases_too() -> None:
    assert steps(SGD(0.5, weight_decay=0.5), [0.0, 0.0]) == [0.75, 0.5625]


def test_decay_is_added_after_the_average() -> None:
    assert steps(SGD(1.0, weight_decay=0.5), [2.0], weight_sum=8.0) == [0.25]


def test_rate_zero_changes_no_weight() -> None:
    assert steps(SGD(0.0, momentum=0.9), [3.0, 3.0]) == [1.0, 1.0]


def test_a_mini_batch_without_weight_changes_nothing() -> None:
    optimizer = SGD(0.5, momentum=0.9, weight_decay=0.1)
    parameters, gradient = random_parameters(SHAPE, seed=1), Parameters(SHAPE)
    state = optimizer.state(parameters)
    state[0].fill(3)
    before = parameters.flat.copy()
    optimizer.update(parameters, gradient, 0.0, state)
    assert np.array_equal(parameters.flat, before)
    assert np.all(state[0] == 3)


def test_scalars_are_cast_once_to_the_precision() -> None:
    shape = architecture(("squared_error", "identity"), (1, 1), bias=False, precision="float32")
    parameters, gradient = Parameters(shape), Parameters(shape)
    parameters.flat.fill(0)
    gradient.flat.fill(1)
    SGD(0.1).update(parameters, gradient, 3.0, [])
    expected = -((np.float32(1) / np.float32(3)) * np.float32(0.1))
    assert parameters.flat.dtype == np.float32
    assert parameters.W[0].item() == expected


def test_state_is_the_velocity_or_nothing() -> None:
    parameters = Parameters(SHAPE)
    assert SGD(0.1).state(parameters) == []
    (velocity,) = SGD(0.1, momentum=0.9).state(parameters)
    assert velocity.shape == parameters.flat.shape
    assert not velocity.any()


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match=r"nesterov with momentum: 0\.0; allowed: above 0"):
        SGD(0.1, nesterov=True)
