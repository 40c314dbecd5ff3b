"""Optimizers and what limits them, one number at a time: each term of a rule, and the mini-batch that has no weight.

Those that PyTorch has are held against it in `test_trajectories.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.workers.mlp.making import architecture, random_parameters
from workers.mlp.optimizers import OPTIMIZERS, SGD, Optimizer, Regularization
from workers.mlp.optimizers.signs import Lion
from workers.mlp.parameters import Parameters

SHAPE = architecture(("squared_error", "identity"), (3, 4, 2))


def steps(optimizer: Optimizer, gradients: list[float], weight_sum: float = 1.0, start: float = 1.0) -> list[float]:
    """Follow one weight through updates with these gradient sums."""
    parameters, gradient = Parameters(SHAPE), Parameters(SHAPE)
    parameters.flat.fill(start)
    state = optimizer.state(parameters)
    found = []
    for step, value in enumerate(gradients, start=1):
        gradient.flat.fill(value)
        optimizer.update(parameters, gradient, weight_sum, state, step=step)
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


def sign(number: float) -> float:
    return (number > 0) - (number < 0)


def lion(p: float, gradients: list[float], rate: float, beta1: float, beta2: float, decay: float) -> list[float]:
    """One number through the paper's Algorithm 2."""
    m, found = 0.0, []
    for g in gradients:
        c = beta1 * m + (1 - beta1) * g
        p = p - rate * (sign(c) + decay * p)
        m = beta2 * m + (1 - beta2) * g
        found.append(p)
    return found


def test_lion_is_its_papers() -> None:
    gradients = [math.sin(3 * step) + 0.2 for step in range(100)] + [0.0, -5.0, 0.0]
    variants: list[dict[str, Any]] = [{}, {"beta1": 0.5, "beta2": 0.8, "weight_decay": 0.3}]
    for given in variants:
        optimizer = Lion(0.01, **given)
        assert {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0, **given} == {
            "beta1": optimizer.beta1,
            "beta2": optimizer.beta2,
            "weight_decay": optimizer.weight_decay,
        }
        beta1, beta2 = given.get("beta1", 0.9), given.get("beta2", 0.99)
        expected = lion(1.0, gradients, 0.01, beta1, beta2, given.get("weight_decay", 0.0))
        assert steps(optimizer, gradients) == pytest.approx(expected, rel=1e-12)


def test_penalties_pull_on_weights_alone_by_sign_and_by_size() -> None:
    parameters, gradient = random_parameters(SHAPE, seed=1), Parameters(SHAPE)
    parameters.W[0][0, 0] = 0
    expected = [
        [[w - 0.5 * (0.5 + 0.1 * sign(w) + 0.2 * w) for w in row] for row in weights.tolist()]
        for weights in parameters.W
    ]
    biases = [[b - 0.5 * 0.5 for b in bias.tolist()] for bias in parameters.b]
    for array in gradient.trained_arrays():
        array.fill(2)
    SGD(0.5, regularization=Regularization(l1=0.1, l2=0.2)).update(parameters, gradient, 4.0, [])
    for found, own in zip([*parameters.W, *parameters.b], [*expected, *biases], strict=True):
        assert np.allclose(found, own, rtol=1e-15, atol=1e-15)


def test_a_units_weights_are_scaled_down_to_the_limit_of_their_norm_and_never_up() -> None:
    parameters = random_parameters(SHAPE, seed=2)
    before = [weights.tolist() for weights in parameters.W]
    biases = [bias.copy() for bias in parameters.b]
    SGD(0.0, regularization=Regularization(max_norm=0.9)).update(parameters, Parameters(SHAPE), 1.0, [])
    lengths = []
    for found, old in zip(parameters.W, before, strict=True):
        for unit in range(found.shape[1]):
            length = math.sqrt(sum(row[unit] ** 2 for row in old))
            lengths.append(length)
            scale = min(1.0, 0.9 / length)
            assert found[:, unit].tolist() == pytest.approx([row[unit] * scale for row in old], rel=1e-14)
    assert min(lengths) < 0.9 < max(lengths)
    assert all(np.array_equal(*pair) for pair in zip(parameters.b, biases, strict=True))


def test_a_unit_without_weights_stays_so_under_a_limit() -> None:
    parameters = Parameters(SHAPE)
    SGD(0.0, regularization=Regularization(max_norm=0.1)).update(parameters, Parameters(SHAPE), 1.0, [])
    assert not parameters.flat.any()


def test_the_limit_holds_after_the_step() -> None:
    parameters, gradient = random_parameters(SHAPE, seed=3), random_parameters(SHAPE, seed=4)
    SGD(10.0, regularization=Regularization(max_norm=0.5)).update(parameters, gradient, 1.0, [])
    for weights in parameters.W:
        assert np.allclose(np.sqrt((weights**2).sum(axis=0)), 0.5, rtol=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_0_is_no_division_by_0_even_with_the_least_epsilon(name: str) -> None:
    kind: Any = OPTIMIZERS[name]
    given = {"epsilon": 1e-30} if "epsilon" in kind.__dataclass_fields__ else {}
    shape = architecture(("squared_error", "identity"), (3, 4, 2), precision="float32")
    parameters = random_parameters(shape, seed=5)
    optimizer, before = kind(0.1, **given), parameters.flat.copy()
    state = optimizer.state(parameters)
    for step in range(1, 4):
        optimizer.update(parameters, Parameters(shape), 1.0, state, step=step)
    assert np.allclose(parameters.flat, before * (1 - 0.1 * 0.01) ** (3 * (name == "adamw")), rtol=1e-6)


def test_centred_rmsprop_takes_a_variance_of_0_for_0() -> None:
    shape = architecture(("squared_error", "identity"), (1, 1), bias=False, precision="float32")
    parameters, gradient = Parameters(shape), Parameters(shape)
    optimizer: Any = OPTIMIZERS["rmsprop"](1e-6)
    optimizer.centered = True
    state = optimizer.state(parameters)
    for step in range(1, 5000):
        gradient.flat.fill(0.7)  # the same each time: its mean square is the square of its mean, but for rounding
        optimizer.update(parameters, gradient, 1.0, state, step=step)
    assert np.isfinite(parameters.W[0]).all()


def test_rprop_begins_with_steps_of_the_rate_of_each_network() -> None:
    parameters = Parameters(SHAPE, (2,))
    _, lengths = OPTIMIZERS["rprop"]([0.1, 0.3]).state(parameters)
    assert np.array_equal(np.unique(lengths, axis=-1), [[0.1], [0.3]])
