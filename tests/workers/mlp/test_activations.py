"""Each activation alone: its values and slopes by the formula, its range at any net input, and working in place."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from workers.mlp.activations import ACTIVATIONS, Elementwise, Positive, Softmax, find_activation
from workers.mlp.arrays import Array, Arrays, Workspace
from workers.mlp.choices import Choice, name_of

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
FORMULAS: list[tuple[Choice, Callable[[float], float]]] = [
    ("identity", lambda z: z),
    ("sigmoid", lambda z: 1 / (1 + math.exp(-z))),
    ("tanh", math.tanh),
    ("relu", lambda z: max(z, 0)),
    ("leaky_relu", lambda z: z if z > 0 else 0.01 * z),
    ({"name": "leaky_relu", "slope": 0.3}, lambda z: z if z > 0 else 0.3 * z),
    ("prelu", lambda z: z if z > 0 else 0.25 * z),
    ("elu", lambda z: z if z > 0 else math.expm1(z)),
    ({"name": "elu", "alpha": 2.5}, lambda z: z if z > 0 else 2.5 * math.expm1(z)),
    ("selu", lambda z: SELU_SCALE * (z if z > 0 else SELU_ALPHA * math.expm1(z))),
    ("hard_sigmoid", lambda z: min(max(z + 3, 0), 6) / 6),
    ("exponential", math.exp),
    ("softplus", lambda z: math.log1p(math.exp(z))),
    ("silu", lambda z: z / (1 + math.exp(-z))),
    ("mish", lambda z: z * math.tanh(math.log1p(math.exp(z)))),
    ("softsign", lambda z: z / (1 + abs(z))),
    ("gelu", lambda z: z * math.erfc(-z / math.sqrt(2)) / 2),
    (
        {"name": "gelu", "approximate": "tanh"},
        lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    ),
]
ELEMENTWISE = sorted(name for name, kind in ACTIVATIONS.items() if issubclass(kind, Elementwise))
POSITIVE = sorted(name for name, kind in ACTIVATIONS.items() if issubclass(kind, Positive))
SLOPED = [(choice, formula) for choice, formula in FORMULAS if name_of(choice) in ELEMENTWISE]
POINTS = [-30.0, -8.2, -3.1, -2.9, -1.0, -0.4, -1e-3, -1e-9, 1e-9, 0.3, 1.7, 2.5, 3.2, 12.0, 30.0]
EXTREMES = [[-3e38, -1e4, -100, -17, 0], [0, 17, 100, 1e4, 3e38], [3e38, -3e38, 3e38, 1, -1]]


def workspace(like: Array) -> Workspace:
    planes = (np.full_like(like, np.nan) for _ in range(3))
    columns = (np.full_like(like[..., :1], np.nan) for _ in range(2))
    return Workspace(*planes, *columns)


def apply(choice: Choice, z: Array) -> Array:
    out = np.empty_like(z)
    find_activation(choice).apply(z, out, workspace(z))
    return out


def derivative(choice: Choice, z: Array) -> Array:
    """f′(z), with the first plane as `out`, as a network calls it."""
    activation, work = find_activation(choice), workspace(z)
    assert isinstance(activation, Elementwise)
    a = apply(choice, z)
    activation.derivative(z if activation.keeps_z else a, a, work.first, work)
    return work.first


def test_every_activation_has_a_formula_here() -> None:
    assert {name_of(choice) for choice, _ in FORMULAS} == set(ACTIVATIONS) - {"softmax"}


@pytest.mark.parametrize(("choice", "formula"), FORMULAS, ids=[str(choice) for choice, _ in FORMULAS])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-6), ("float64", 1e-14)])
def test_values_are_the_formulas(
    choice: Choice, formula: Callable[[float], float], precision: str, tolerance: float
) -> None:
    z = np.array([POINTS], precision)
    expected = [formula(float(point)) for point in z[0]]
    assert apply(choice, z)[0].tolist() == pytest.approx(expected, rel=tolerance, abs=tolerance / 10)


@pytest.mark.parametrize(("choice", "formula"), SLOPED, ids=[str(choice) for choice, _ in SLOPED])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_derivative_is_the_slope(choice: Choice, formula: Callable[[float], float], precision: str) -> None:
    z = np.array([[-12.0, -3.1, -2.9, -1.0, -0.4, -0.01, 0.01, 0.3, 1.7, 3.1, 12.0]], precision)
    expected = [(formula(point + 1e-5) - formula(point - 1e-5)) / 2e-5 for point in z[0].tolist()]
    tolerance = 1e-5 if precision == "float32" else 2e-9
    assert derivative(choice, z)[0].tolist() == pytest.approx(expected, rel=tolerance, abs=tolerance)


def test_f_prime_is_taken_of_a_alone_where_z_is_not_kept() -> None:
    """`derivative` above puts a in the place of z there; only these may need z."""
    assert {name for name in ACTIVATIONS if find_activation(name).keeps_z} == {
        *("gelu", "mish", "prelu", "silu", "softsign")
    }


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_outputs_stay_in_range_at_any_net_input(name: str, precision: str) -> None:
    z = np.array(EXTREMES, precision)
    with np.errstate(over="ignore"):  # −3·10³⁸ − 3·10³⁸ in float32 is −∞, whose e^ is 0; e¹⁰⁰ is ∞
        a = apply(name, z)
    image = find_activation(name).image
    assert a.dtype == z.dtype
    assert np.all((a >= image.lowest) & (a <= image.highest))


@pytest.mark.parametrize("name", sorted(set(ELEMENTWISE) - {"exponential"}))
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_values_and_slopes_are_finite_at_any_net_input(name: str, precision: str) -> None:
    """Warnings are errors: nothing overflows on the way either."""
    z = np.array(EXTREMES, precision)
    slopes = derivative(name, z)
    assert np.all(np.isfinite(apply(name, z)))
    assert np.all((slopes > -0.2) & (slopes < 1.8))
    for limit, at in ((0.0, -3e38), (1.0, 3e38)):
        if name in ("gelu", "mish", "silu", "softplus"):
            assert derivative(name, np.array([[at]], precision)) == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize("choice", [choice for choice, _ in FORMULAS] + ["softmax"], ids=str)
def test_an_activation_may_overwrite_its_net_input(choice: Choice) -> None:
    z = np.linspace(-4, 4, 12).reshape(3, 4)
    expected = apply(choice, z)
    find_activation(choice).apply(z, z, workspace(z))
    assert np.array_equal(z, expected)


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_logarithms_of_positive_outputs_are_right_where_the_output_is_0(name: str, precision: str) -> None:
    activation = find_activation(name)
    assert isinstance(activation, Positive)
    z = np.array([[-1e4, -200.0, -30.0, -1.0, 0.0, 2.0, 80.0]], precision)
    a, log, slope = apply(name, z), np.empty_like(z), np.empty_like(z)
    activation.log(z, a, log, workspace(z))
    activation.log_derivative(z, a, slope, workspace(z))
    assert log[0, :3].tolist() == pytest.approx(z[0, :3].tolist(), rel=1e-6)
    assert slope[0, :3].tolist() == pytest.approx([1, 1, 1], rel=1e-6)
    assert log[0, 3:].tolist() == pytest.approx(np.log(a[0, 3:]).tolist(), rel=1e-6, abs=1e-6)
    assert (slope * a)[0, 3:].tolist() == pytest.approx(derivative(name, z)[0, 3:].tolist(), rel=1e-5, abs=1e-7)


def test_the_slope_of_prelu_is_each_units_own_and_learned() -> None:
    prelu, z = find_activation("prelu"), np.array([[-2.0, -2.0], [3.0, -0.5]])
    learned: Arrays = {"slope": np.array([0.5, -0.1])}
    gradient: Arrays = {"slope": np.zeros(2)}
    a, work, delta = np.empty_like(z), workspace(z), np.array([[1.0, 2.0], [4.0, 8.0]])
    prelu.forward(z, a, work, learned)
    prelu.back(z, a, delta, work, learned, gradient)
    assert np.array_equal(a, [[-1.0, 0.2], [3.0, 0.05]])
    assert np.array_equal(delta, [[0.5, -0.2], [4.0, -0.8]])
    assert np.array_equal(gradient["slope"], [-2.0, -4.0 - 4.0])
    assert prelu.starts == {"slope": 0.25}


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


@pytest.mark.parametrize(("name", "slope"), [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0), ("gelu", 0.5)])
def test_the_slope_at_the_corner_is_that_from_below(name: str, slope: float) -> None:
    assert np.allclose(derivative(name, np.array([[0.0, -0.0]])), slope, rtol=1e-15)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("gellu", "activation: 'gellu'; allowed: identity, sigmoid"),
        ({"name": "elu", "alpha": 0}, "activation 'elu': alpha: 0; allowed: above 0 and at most 100"),
        ({"name": "elu", "beta": 1}, "activation 'elu': no field 'beta'; allowed: alpha"),
        ({"name": "tanh", "beta": 1}, "activation 'tanh': no field 'beta'; allowed: none"),
        ({"name": "gelu", "approximate": "erf"}, "approximate: 'erf'; allowed: 'none', 'tanh'"),
        ({"name": "elu", "alpha": "1"}, "alpha: '1'; allowed: above 0"),
        ({"name": "elu", "alpha": float("nan")}, "alpha: nan; allowed: above 0"),
    ],
)
def test_what_cannot_be_chosen_is_refused_by_name(choice: Choice, words: str) -> None:
    with pytest.raises(ValueError, match="allowed") as refusal:
        find_activation(choice)
    assert words in str(refusal.value)
