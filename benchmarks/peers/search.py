"""What the searches of the comparison try: digits, 64-64-10, 20 epochs, batch 32, at one learning rate; plain NumPy.

`train` is the function that Ray Tune and Optuna call for each trial. It is the arithmetic of `benchmarks.peers.iris`.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

from benchmarks.made_rows import Rows
from benchmarks.peers.digits import BATCH, EPOCHS, HIDDEN
from benchmarks.peers.iris import forward, scores

CLASSES = 10
LOWEST, HIGHEST = 1e-3, 1.0  # of the learning rates, each order of magnitude as likely


@cache
def parts() -> tuple[Rows, Rows]:
    """The rows to train on and those to validate on, a fifth of all, standardised."""
    import numpy as np
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    aside = np.arange(len(x)) % 5 == 0
    deviation = x[~aside].std(0)
    x = ((x - x[~aside].mean(0)) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    return Rows(x[~aside], y[~aside]), Rows(x[aside], y[aside])


def train(rate: float, epochs: int = EPOCHS) -> float:
    """The validation loss after the last epoch."""
    import numpy as np

    training, validation = parts()
    generator = np.random.default_rng(0)
    weights: list[Any] = []
    for below, units in pairwise((training.x.shape[1], HIDDEN, CLASSES)):
        limit = (6 / (below + units)) ** 0.5
        weights.append(generator.uniform(-limit, limit, (below, units)).astype(np.float32))
        weights.append(np.zeros(units, np.float32))
    loss = float("nan")
    with np.errstate(all="ignore"):  # a rate may be too high
        for _ in range(epochs):
            order = generator.permutation(len(training.y))
            for first in range(0, len(order), BATCH):
                rows = order[first : first + BATCH]
                step(weights, training.x[rows], training.y[rows], rate)
            loss = scores(weights, validation)["loss"]  # each epoch, as deltaq does
    return loss


def step(weights: list[Any], x: Any, y: Any, rate: float) -> None:
    """One mini-batch's update, in place."""
    import numpy as np

    hidden, delta = forward(weights, x)
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    below = (delta @ weights[2].T) * (hidden > 0)
    for weight, gradient in zip(weights, (x.T @ below, below.sum(0), hidden.T @ delta, delta.sum(0)), strict=True):
        weight -= np.float32(rate) * gradient
