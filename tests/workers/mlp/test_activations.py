"""Each activation alone: its range at any net input, its derivative, and working in place."""

from __future__ import annotations

import numpy as np
import pytest

from workers.mlp.activations import ACTIVATIONS, Elementwise, Softmax, find_activation
from workers.mlp.arrays import Array, Workspace

RANGES = {
    "identity": (-np.inf, np.inf),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "relu": (0, np.inf),
    "softmax": (0, 1),
}


def workspace(like: Array) -> Workspace:
    planes = (np.empty_like(like) for _ in range(3))
    columns = (np.empty_like(like[..., :1]) for _ in range(2))
    return Workspace(*planes, *columns)


def apply(name: str, z: Array) -> Array:
    out = np.empty_like(z)
    find_activation(name).apply(z, out, workspace(z))
    return out


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_outputs_stay_in_range_at_any_net_input(name: str, precision: str) -> None:
    z = np.array([[-3e38, -1e4, -100, -17, 0], [0, 17, 100, 1e4, 3e38], [3e38, -3e38, 3e38, 1, -1]], precision)
    with np.errstate(over="ignore"):  # −3·10³⁸ − 3·10³⁸ in float32 is −∞, whose e^ is 0
        a = apply(name, z)
    least, most = RANGES[name]
    assert a.dtype == z.dtype
    assert np.all((a >= least) & (a <= most))


@pytest.mark.parametrize("name", sorted(name for name, f in ACTIVATIONS.items() if issubclass(f, Elementwise)))
def test_the_derivative_is_the_slope(name: str) -> None:
    activation = find_activation(name)
    assert isinstance(activation, Elementwise)
    z = np.array([[-3.0, -0.4, 0.3, 2.5]])
    slope = np.empty_like(z)
    activation.derivative(z, apply(name, z), slope, workspace(z))
    assert slope == pytest.approx((apply(name, z + 1e-6) - apply(name, z - 1e-6)) / 2e-6, abs=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_may_overwrite_its_net_input(name: str) -> None:
    z = np.linspace(-4, 4, 12).reshape(3, 4)
    expected = apply(name, z)
    find_activation(name).apply(z, z, workspace(z))
    assert np.array_equal(z, expected)


def test_softmax_goes_back_by_its_whole_jacobian() -> None:
    z, g = np.array([[0.3, -1.0, 2.0]]), np.array([[0.7, -0.2, 0.4]])
    a = apply("softmax", z)
    jacobian = np.diag(a[0]) - np.outer(a[0], a[0])
    delta = g.copy()
    Softmax().backward(z, a, delta, workspace(z))
    assert delta[0] == pytest.approx(jacobian @ g[0], rel=1e-12)


def test_softmax_is_a_distribution_that_a_shift_does_not_change() -> None:
    z = np.array([[1.0, 2.0, 4.0]])
    a = apply("softmax", z)
    assert a.sum() == pytest.approx(1, rel=1e-15)
    assert apply("softmax", z + 512) == pytest.approx(a, rel=1e-15)


def test_relu_has_slope_zero_at_its_corner() -> None:
    slope = np.ones((1, 2))
    z = np.array([[0.0, -0.0]])
    find_activation("relu").backward(z, apply("relu", z), slope, workspace(z))
    assert np.array_equal(slope, [[0, 0]])
