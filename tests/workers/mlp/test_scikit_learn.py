"""The loss curves of scikit-learn's multi-layer perceptrons, from the same weights and in the same order of rows."""

from __future__ import annotations

import warnings
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
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters

ROWS, BATCH, EPOCHS, RATE = 45, 20, 6, 0.1
ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic", "identity": "identity"}
MOMENTUM = [(0.0, False), (0.9, False), (0.9, True)]


def our_curve(shape: Architecture, parameters: Parameters, x: Array, y: Array, optimizer: SGD) -> list[float]:
    network, gradient, state = Network(shape, BATCH), Parameters(shape), optimizer.state(parameters)
    curve = []
    for _ in range(EPOCHS):
        total = BatchSums(0.0, 0.0, 0.0)
        for step in range(steps_per_epoch(ROWS, BATCH)):
            rows = batch_rows(ROWS, BATCH, step)
            sums = network.gradient(parameters, x[rows], y[rows], None, gradient)
            optimizer.update(parameters, gradient, sums.weight, state)
            total = total.plus(sums)
        curve.append(total.loss / total.weight)
    return curve


def their_curve(model: Any, parameters: Parameters, x: Array, targets: Array) -> list[float]:
    """Train one epoch so that the model has weights, put ours in their place, and train on with a fresh velocity."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so few epochs do not converge
        model.fit(x, targets)
        model.coefs_ = [weights.copy() for weights in parameters.W]
        model.intercepts_ = [bias.copy() for bias in parameters.b]
        model.set_params(max_iter=EPOCHS).fit(x, targets)
    return [float(loss) for loss in model.loss_curve_[-EPOCHS:]]


@pytest.mark.parametrize(("momentum", "nesterov"), MOMENTUM)
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.parametrize(
    ("pair", "outputs"),
    [(("cross_entropy", "softmax"), 3), (("log_loss", "sigmoid"), 1), (("squared_error", "identity"), 1)],
    ids=["multiclass", "binary", "regression"],
)
def test_the_loss_curve_is_scikit_learns(
    pair: tuple[str, str], outputs: int, hidden: str, momentum: float, nesterov: bool
) -> None:
    shape = architecture(pair, (4, 7, outputs), hidden)
    parameters = Parameters(shape)
    initialize(parameters, seed=1)
    x, y = random_batch(shape, ROWS, seed=2)
    kind = MLPRegressor if pair[0] == "squared_error" else MLPClassifier
    model = kind(
        hidden_layer_sizes=(7,),
        activation=ACTIVATIONS[hidden],
        solver="sgd",
        alpha=0,
        batch_size=BATCH,
        learning_rate_init=RATE,
        momentum=momentum,
        nesterovs_momentum=nesterov,
        shuffle=False,
        max_iter=1,
        warm_start=True,
        tol=0,
    )
    targets = y.argmax(axis=-1) if outputs == 3 else y[:, 0]

    theirs = their_curve(model, parameters, x, targets)
    ours = our_curve(shape, parameters, x, y, SGD(RATE, momentum, nesterov))

    assert ours == pytest.approx(theirs, rel=1e-9)
    for found, expected in zip(parameters.W, model.coefs_, strict=True):
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)
