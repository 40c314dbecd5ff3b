"""The loss curves of scikit-learn's multi-layer perceptrons, from the same weights and in the same order of rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from tests.workers.mlp.making import architecture, random_batch
from workers.batches import batch_rows, steps_per_epoch
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.initializers import initialize
from workers.mlp.network import BatchSums, Network
from workers.mlp.optimizers import SGD, Optimizer
from workers.mlp.optimizers.adam import Adam
from workers.mlp.parameters import Parameters
from workers.mlp.schedules import InverseScaling

ROWS, BATCH, EPOCHS, RATE = 45, 20, 6, 0.1
ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic", "identity": "identity"}
MOMENTUM = [(0.0, False), (0.9, False), (0.9, True)]
PAIRS = pytest.mark.parametrize(
    ("pair", "outputs"),
    [(("cross_entropy", "softmax"), 3), (("log_loss", "sigmoid"), 1), (("squared_error", "identity"), 1)],
    ids=["multiclass", "binary", "regression"],
)


def our_curve(
    shape: Architecture,
    parameters: Parameters,
    x: Array,
    y: Array,
    optimizer: Optimizer,
    alpha: float = 0.0,
    rate: Callable[[int], float] | None = None,
) -> list[float]:
    """Train; `rate` is that of an epoch. Their alpha is divided by the mini-batch's rows, and is part of their loss."""
    network, gradient, state = Network(shape, BATCH), Parameters(shape), optimizer.state(parameters)
    curve, steps = [], steps_per_epoch(ROWS, BATCH)
    for epoch in range(EPOCHS):
        total = BatchSums(0.0, 0.0, 0.0)
        for step in range(steps):
            rows = batch_rows(ROWS, BATCH, step)
            sums = network.gradient(parameters, x[rows], y[rows], None, gradient)
            penalty = alpha / 2 * sum(float((weights**2).sum()) for weights in parameters.W)
            total = total.plus(sums._replace(loss=sums.loss + penalty))
            optimizer.regularization = replace(optimizer.regularization, l2=alpha / sums.rows)
            now = None if rate is None else rate(epoch)
            optimizer.update(parameters, gradient, sums.weight, state, rate=now, step=epoch * steps + step + 1)
        curve.append(total.loss / total.weight)
    return curve


def their_curve(model: Any, parameters: Parameters, x: Array, targets: Array) -> list[float]:
    """Train one epoch so that the model has weights, put ours in their place, and train on with a fresh velocity."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so few epochs do not converge
        model.fit(x, targets)
        model.coefs_ = [weights.copy() for weights in parameters.W]
        model.intercepts_ = [bias.copy() for bias in parameters.b]
        model.t_ = 0  # samples seen, which inverse scaling goes by
        model.set_params(max_iter=EPOCHS).fit(x, targets)
    return [float(loss) for loss in model.loss_curve_[-EPOCHS:]]


@pytest.mark.parametrize(("momentum", "nesterov"), MOMENTUM)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@PAIRS
def test_the_loss_curve_is_scikit_learns(
    pair: tuple[str, str], outputs: int, hidden: str, momentum: float, nesterov: bool
) -> None:
    assert_same_curve(
        pair, outputs, hidden, SGD(RATE, momentum, nesterov), momentum=momentum, nesterovs_momentum=nesterov
    )


class TheirSGD(SGD):
    """Momentum with the rate of each step in the velocity, as scikit-learn has it; PyTorch's is multiplied afterwards.

    The same while the rate stays the same.
    """

    before: Any = RATE

    def descend(self, p: Array, g: Array, state: list[Array], rate: Any, step: Any) -> None:
        """What is in the velocity keeps the rates that it came in by."""
        for velocity in state:
            velocity *= self.before / rate
        self.before = rate
        super().descend(p, g, state, rate, step)


@pytest.mark.parametrize(("momentum", "nesterov"), MOMENTUM)
@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
@PAIRS
def test_with_their_alpha_as_l2_and_their_falling_rate(
    pair: tuple[str, str], outputs: int, schedule: str, momentum: float, nesterov: bool
) -> None:
    falling = InverseScaling(power=0.3)  # of samples, there
    rate = None if schedule == "constant" else lambda epoch: falling.rate(RATE, epoch * ROWS, EPOCHS * ROWS)
    theirs: dict[str, Any] = {
        "momentum": momentum,
        "nesterovs_momentum": nesterov,
        "learning_rate": schedule,
        "power_t": 0.3,
    }
    assert_same_curve(pair, outputs, "tanh", TheirSGD(RATE, momentum, nesterov), alpha=0.5, rate=rate, **theirs)


class TheirAdam(Adam):
    """Adam with ε beside √v before that is corrected for its beginning at 0, as scikit-learn has it."""

    def descend(self, p: Array, g: Array, state: list[Array], rate: Any, step: Any) -> None:
        """√v / c + ε / c is (√v + ε) / c."""
        given, beta2 = (float(np.asarray(each)) for each in (self.epsilon, self.beta2))
        self.epsilon = given / math.sqrt(1 - beta2**step)
        super().descend(p, g, state, rate, step)
        self.epsilon = given


@pytest.mark.parametrize("alpha", [0.0, 0.5])
@PAIRS
def test_adam(pair: tuple[str, str], outputs: int, alpha: float) -> None:
    optimizer = TheirAdam(0.05, beta1=0.8, beta2=0.95, epsilon=1e-3)
    theirs: dict[str, Any] = {"learning_rate_init": 0.05, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}
    assert_same_curve(pair, outputs, "tanh", optimizer, alpha=alpha, solver="adam", **theirs)


def assert_same_curve(
    pair: tuple[str, str],
    outputs: int,
    hidden: str,
    optimizer: Optimizer,
    alpha: float = 0.0,
    rate: Callable[[int], float] | None = None,
    **theirs: Any,
) -> None:
    """Train with both from the same weights: the same losses and the same last weights."""
    shape = architecture(pair, (4, 7, outputs), hidden)
    parameters = Parameters(shape)
    initialize(parameters, seed=1)
    x, y = random_batch(shape, ROWS, seed=2)
    kind = MLPRegressor if pair[0] == "squared_error" else MLPClassifier
    fields = {"solver": "sgd", "learning_rate_init": RATE, "batch_size": BATCH, "shuffle": False, "tol": 0, **theirs}
    model = kind(
        hidden_layer_sizes=(7,), activation=ACTIVATIONS[hidden], alpha=alpha, max_iter=1, warm_start=True, **fields
    )
    targets = y.argmax(axis=-1) if outputs == 3 else y[:, 0]

    expected = their_curve(model, parameters, x, targets)
    found = our_curve(shape, parameters, x, y, optimizer, alpha, rate)

    assert found == pytest.approx(expected, rel=1e-9)
    for ours, weights in zip(parameters.W, model.coefs_, strict=True):
        assert np.allclose(ours, weights, rtol=1e-9, atol=1e-12)
