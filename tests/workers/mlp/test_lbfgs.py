"""The direction of L-BFGS beside the matrix that it stands for, and what of the past it keeps."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workers.mlp.making import architecture, random_parameters
from workers.mlp.arrays import Array
from workers.mlp.optimizers import LBFGS, Regularization
from workers.mlp.parameters import Parameters

SHAPE = architecture(("squared_error", "identity"), (3, 4, 2))


def inverse(pairs: list[tuple[Array, Array]], size: int) -> Array:
    """The inverse Hessian of BFGS, written out: Nocedal and Wright, equation 6.17, from their 7.20."""
    s, y = pairs[-1]
    matrix = np.eye(size) * (s @ y) / (y @ y)
    for s, y in pairs:
        left = np.eye(size) - np.outer(s, y) / (s @ y)
        matrix = left @ matrix @ left.T + np.outer(s, s) / (s @ y)
    return matrix


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_the_direction_is_that_of_the_matrix_of_the_last_steps(count: int) -> None:
    rule, generator = LBFGS(1.0, history=5), np.random.default_rng(3)
    parameters = Parameters(SHAPE)
    size, state = parameters.trained.size, rule.state(parameters)
    root = generator.normal(size=(size, size))
    hessian = root @ root.T + np.eye(size)
    pairs: list[tuple[Array, Array]] = []
    for _ in range(count):
        s = generator.normal(size=size)
        pairs.append((s, hessian @ s))
        rule.remember(state, s.copy(), hessian @ s)
    g = generator.normal(size=size)
    direction = g.copy()
    rule.turn(direction, state)
    assert np.allclose(direction, -inverse(pairs[-5:], size) @ g, rtol=1e-9, atol=1e-12)


def test_without_a_past_it_is_the_gradient() -> None:
    rule, parameters = LBFGS(0.5), random_parameters(SHAPE, seed=1)
    gradient = random_parameters(SHAPE, seed=2)
    expected = parameters.flat - 0.5 * gradient.flat / 4
    rule.update(parameters, gradient, 4.0, rule.state(parameters))
    assert np.array_equal(parameters.flat, expected)


def test_a_step_over_which_the_function_does_not_curve_upwards_is_not_kept() -> None:
    rule, parameters = LBFGS(1.0), Parameters(SHAPE)
    state, s = rule.state(parameters), np.ones(parameters.trained.size)
    rule.remember(state, s, -s)
    rule.remember(state, s, np.zeros_like(s))
    assert not any(array.any() for array in state)
    rule.remember(state, s, 2 * s)
    assert [array[-1][0] for array in state] == [1, 2]


def test_a_change_whose_square_is_too_small_for_the_precision_is_not_kept() -> None:
    shape = architecture(("squared_error", "identity"), (3, 4, 2), precision="float32")
    rule, parameters = LBFGS(1.0), Parameters(shape)
    state, s = rule.state(parameters), np.ones(parameters.trained.size, np.float32)
    rule.remember(state, s, s * np.float32(1e-24))
    assert not any(array.any() for array in state)


def test_the_penalty_is_what_its_gradient_is_of() -> None:
    limits, parameters = Regularization(l2=0.3), random_parameters(SHAPE, seed=1)
    gradient, step = Parameters(SHAPE), 1e-6
    limits.shape_gradient(parameters, gradient)
    for place in (0, parameters.trained.size // 2, -1):
        there = parameters.trained.copy()
        parameters.trained[place] = there[place] + step
        above = limits.penalty(parameters)
        parameters.trained[place] = there[place] - step
        assert (above - limits.penalty(parameters)) / (2 * step) == pytest.approx(gradient.trained[place], abs=1e-9)
        parameters.trained[place] = there[place]
    assert Regularization().penalty(parameters) == 0


def test_when_it_ends() -> None:
    rule = LBFGS(1.0, gradient_tolerance=1e-3, change_tolerance=1e-2)
    assert rule.flat(np.array([1e-3, -1e-3]))
    assert not rule.flat(np.array([0.0, -1.1e-3]))
    assert rule.hardly_changed(0.5, 0.4901)
    assert not rule.hardly_changed(0.5, 0.4899)
    assert rule.hardly_changed(500.0, 495.1)  # of a larger value, a share
    assert not rule.hardly_changed(500.0, 494.9)
    assert not LBFGS(1.0, change_tolerance=0.0).hardly_changed(1.0, np.nextafter(1.0, 0.0))


def test_its_state_is_counted() -> None:
    rule, parameters = LBFGS(1.0, history=3), Parameters(SHAPE)
    assert sum(array.size for array in rule.state(parameters)) == rule.state_count() * parameters.trained.size
