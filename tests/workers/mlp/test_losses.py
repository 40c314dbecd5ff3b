"""The losses: which outputs they take, their values, and that no confidence makes them infinite or silent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.oracles import textbook
from tests.workers.mlp.making import EVERY_PAIR, IN_THE_TEXTBOOK, Precision, architecture, random_batch
from tests.workers.mlp.test_activations import workspace
from workers.mlp.activations import ACTIVATIONS, find_activation
from workers.mlp.arrays import Array
from workers.mlp.choices import Choice, name_of
from workers.mlp.initializers import initialize
from workers.mlp.losses import LOSSES, allowed_activations, find_loss
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


POSITIVE = {"exponential", "softplus", "sigmoid"}
BOTH_MARGINS = {"identity", "tanh", "leaky_relu", "elu", "selu", "softsign"}


def test_the_allowed_pairs_follow_from_images_and_domains() -> None:
    for loss in ("squared_error", "absolute", "huber", "quantile"):
        assert set(allowed_activations(loss)) == set(ACTIVATIONS) - {"prelu"}
    for loss in ("log_loss", "cross_entropy", "focal"):
        assert set(allowed_activations(loss)) == {"sigmoid", "softmax"}
    for loss in ("poisson", "gamma", "tweedie"):
        assert set(allowed_activations(loss)) == POSITIVE
    for loss in ("hinge", "squared_hinge"):
        assert set(allowed_activations(loss)) == BOTH_MARGINS
    for loss, kind in LOSSES.items():
        assert set(kind.outputs.values()) <= set(allowed_activations(loss))


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("log_loss", "tanh"),
        ("cross_entropy", "relu"),
        ("hinge", "sigmoid"),
        ("poisson", "relu"),
        ("squared_error", "prelu"),
        ("hinge", {"name": "elu", "alpha": 0.5}),
    ],
)
def test_a_pair_that_is_not_allowed_is_named(loss: str, output: Choice) -> None:
    with pytest.raises(ValueError, match=f"'{loss}'.*'{name_of(output)}'; allowed: "):
        find_loss(loss, output)


def test_elu_reaches_the_margin_of_a_hinge_by_its_own_alpha() -> None:
    find_loss("hinge", {"name": "elu", "alpha": 1.5})


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


def value_and_delta(loss: Choice, output: Choice, z: Array, y: Array) -> tuple[Array, Array]:
    """Each sample's loss, and its output delta."""
    o, values, delta, work = np.empty_like(z), np.empty_like(z[:, 0]), np.empty_like(z), workspace(z)
    find_activation(output).apply(z, o, work)
    chosen = find_loss(loss, output)
    chosen.values(z, o, y, values, work)
    chosen.delta(z, o, y, delta, work)
    return values, delta


@pytest.mark.parametrize("pair", EVERY_PAIR, ids="-".join)
def test_float32_is_as_near_to_float64_as_it_can(pair: tuple[str, str]) -> None:
    z = np.random.default_rng(2).normal(scale=4, size=(64, 4)).astype(np.float32)
    _, y = random_batch(architecture(pair, (4, 4), precision="float32"), 64, seed=3)
    found, exact = value_and_delta(*pair, z, y), value_and_delta(*pair, z.astype(np.float64), y.astype(np.float64))
    for single, double in zip(found, exact, strict=True):
        assert single.dtype == np.float32
        assert np.allclose(single, double, rtol=2e-5, atol=2e-5 * np.abs(double).mean())


@pytest.mark.parametrize("pair", [pair for pair in EVERY_PAIR if pair[1] != "exponential"], ids="-".join)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_no_net_input_gives_what_is_no_number(pair: tuple[str, str], precision: Precision) -> None:
    """Warnings are errors: nothing overflows on the way either."""
    z = np.array([[1e4, -1e4, 0], [-1e4, 200, 1e4], [-90, 90, 1e4], [1e4, 1e4, 1e4], [-1e4] * 3], precision)
    _, y = random_batch(architecture(pair, (3, 3), precision=precision), 5, seed=4)
    values, delta = value_and_delta(*pair, z, y)
    assert np.all(np.isfinite(values))
    assert np.all(np.isfinite(delta))


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_a_rate_that_is_far_too_small_is_pulled_up(loss: str) -> None:
    z, y = np.array([[-1e4], [-200], [-20]], np.float32), np.array([[3], [3], [3]], np.float32)
    for output in POSITIVE:
        values, delta = value_and_delta(loss, output, z, y)
        assert np.all(np.isfinite(values))
        assert np.all(delta < -2.9)


@pytest.mark.parametrize("loss", ["poisson", "tweedie"])
def test_nothing_where_nothing_was_expected_costs_next_to_nothing(loss: str) -> None:
    z, y = np.array([[-1e4], [-200]], np.float32), np.zeros((2, 1), np.float32)
    values, delta = value_and_delta(loss, "exponential", z, y)
    assert np.allclose(values, 0, atol=1e-20)
    assert np.allclose(delta, 0, atol=1e-20)


@pytest.mark.parametrize(
    ("loss", "least"),
    [
        ("squared_error", 3.0),
        ("absolute", 2.0),
        ({"name": "quantile", "quantile": 0.9}, 7.0),
        ({"name": "huber", "delta": 0.01}, 2.0),
        ({"name": "huber", "delta": 100.0}, 3.0),
    ],
)
def test_each_loss_of_values_is_least_at_its_own_middle(loss: Choice, least: float) -> None:
    y = np.array([0.0, 1.0, 2.0, 5.0, 7.0])
    guesses = np.linspace(-1, 8, 901)
    z, y = np.repeat(guesses, 5)[:, np.newaxis], np.tile(y, 901)[:, np.newaxis]
    values, _ = value_and_delta(loss, "identity", z, y)
    assert guesses[values.reshape(901, 5).sum(axis=-1).argmin()] == pytest.approx(least, abs=0.011)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
@pytest.mark.parametrize("output", sorted(POSITIVE))
def test_the_losses_of_amounts_are_least_at_the_mean(loss: str, output: str) -> None:
    y = np.array([[0.1], [0.2], [0.9]])
    mean = {"exponential": np.log(0.4), "softplus": np.log(np.expm1(0.4)), "sigmoid": np.log(0.4 / 0.6)}[output]
    _, delta = value_and_delta(loss, output, np.full((3, 1), mean), y)
    assert delta.sum() == pytest.approx(0, abs=1e-12)


def test_tweedie_lies_between_poisson_and_gamma() -> None:
    z, y = np.array([[0.5], [-1.0]]), np.array([[2.0], [0.3]])
    for power, like in ((1 + 1e-9, "poisson"), (2 - 1e-9, "gamma")):
        _, delta = value_and_delta({"name": "tweedie", "power": power}, "exponential", z, y)
        assert delta == pytest.approx(value_and_delta(like, "exponential", z, y)[1], rel=1e-7)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_label_smoothing_is_the_loss_of_smoothed_targets(output: str) -> None:
    z, y = np.random.default_rng(7).normal(size=(6, 4)), np.eye(4)[[0, 1, 2, 3, 0, 1]]
    found = value_and_delta({"name": "cross_entropy", "label_smoothing": 0.2}, output, z, y)
    expected = value_and_delta("cross_entropy", output, z, 0.8 * y + 0.2 / 4)
    for mine, its in zip(found, expected, strict=True):
        assert mine == pytest.approx(its, rel=1e-12)


@pytest.mark.parametrize(("output", "like"), [("sigmoid", "log_loss"), ("softmax", "cross_entropy")])
def test_focal_without_focus_is_the_usual_loss_and_with_it_hardly_sees_what_is_easy(output: str, like: str) -> None:
    z, y = np.array([[0.3, -1.0, 0.2], [8.0, -8.0, -8.0]]), np.eye(3)[[1, 0]]
    plain = value_and_delta(like, output, z, y)
    unfocused = value_and_delta({"name": "focal", "gamma": 0}, output, z, y)
    focused = value_and_delta("focal", output, z, y)
    for mine, its in zip(unfocused, plain, strict=True):
        assert mine == pytest.approx(its, rel=1e-9)
    for mine, its in zip(focused, plain, strict=True):
        assert np.all(np.abs(mine[1]) < 1e-6 * np.abs(its[1]))
        assert np.all(np.abs(mine[0]) > 0.01 * np.abs(its[0]))


def test_alpha_weighs_the_two_classes_of_a_sigmoid_output() -> None:
    z, y = np.array([[0.7], [0.7]]), np.array([[1.0], [0.0]])
    plain, balanced = (value_and_delta({"name": "focal", "alpha": alpha}, "sigmoid", z, y) for alpha in (None, 0.25))
    for mine, its in zip(balanced, plain, strict=True):
        assert mine.ravel() == pytest.approx(its.ravel() * [0.25, 0.75], rel=1e-12)


def test_a_score_beyond_its_margin_costs_nothing() -> None:
    z, y = np.array([[1.5, -2.0, 0.5]]), np.array([[1.0, 0.0, 0.0]])
    for loss, value, slope in (("hinge", 1.5, 1.0), ("squared_hinge", 2.25, 3.0)):
        values, delta = value_and_delta(loss, "identity", z, y)
        assert values[0] == value
        assert np.array_equal(delta, [[0, 0, slope]])


def test_a_single_score_decides_at_0() -> None:
    shape = architecture(("hinge", "identity"), (1, 1), bias=False)
    parameters = Parameters(shape)
    parameters.W[0][...] = 1
    x, y = np.array([[0.2], [-0.2], [0.9], [0.1]]), np.array([[1.0], [0.0], [1.0], [0.0]])
    assert Network(shape, 4).sums(parameters, x, y, None).correct == 3


def test_the_loss_of_several_labels_is_the_sum_over_them() -> None:
    z, y = np.random.default_rng(8).normal(size=(5, 3)), np.random.default_rng(9).integers(2, size=(5, 3)) * 1.0
    together, _ = value_and_delta("log_loss", "sigmoid", z, y)
    singly = [value_and_delta("log_loss", "sigmoid", z[:, [unit]].copy(), y[:, [unit]].copy())[0] for unit in range(3)]
    assert together == pytest.approx(sum(singly), rel=1e-14)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_what_serves_classes_counts_those_that_were_found(loss: str) -> None:
    """Two of three classes are found, whatever the outputs' scale is."""
    of_classes = [task for task in ("binary", "multiclass", "multilabel") if task in LOSSES[loss].outputs]
    assert LOSSES[loss].classes == bool(of_classes)
    if "multiclass" in of_classes:
        network, parameters = through_identity_weights((loss, LOSSES[loss].outputs["multiclass"]), np.eye(3) * 4 - 2)
        targets = np.eye(3)[[0, 1, 0]]
        assert network.sums(parameters, np.eye(3) * 4 - 2, targets, None).correct == 2
