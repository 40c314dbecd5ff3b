"""The tiny training of the comparison of queues, as a function of plain NumPy: iris, one epoch."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.made_rows import Rows

HIDDEN, EPOCHS, BATCH, RATE = 8, 1, 32, 0.1
CLASSES, VALIDATION = 3, 5  # a fifth of the rows is put aside


@cache
def iris() -> tuple[Rows, Rows]:
    """The rows to train on and those to validate on, standardised."""
    import numpy as np

    package = find_spec("sklearn")  # its file is read, without importing it
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "datasets" / "data" / "iris.csv"
    *columns, labels = np.loadtxt(file, delimiter=",", skiprows=1).T
    x, y = np.stack(columns, axis=1), labels.astype(int)
    aside = np.arange(len(x)) % VALIDATION == 0
    x = ((x - x[~aside].mean(0)) / x[~aside].std(0)).astype(np.float32)
    return Rows(x[~aside], y[~aside]), Rows(x[aside], y[aside])


def forward(weights: list[Any], x: Any) -> tuple[Any, Any]:
    """The hidden layer's activations, and the probabilities."""
    import numpy as np

    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    z = hidden @ weights[2] + weights[3]
    exponentials = np.exp(z - z.max(1, keepdims=True))
    return hidden, exponentials / exponentials.sum(1, keepdims=True)


def scores(weights: list[Any], rows: Rows) -> dict[str, float]:
    """Loss and accuracy."""
    import numpy as np

    found = forward(weights, rows.x)[1]
    loss = -np.log(found[np.arange(len(rows.y)), rows.y]).mean()
    return {"loss": float(loss), "accuracy": float((found.argmax(1) == rows.y).mean())}


def train(seed: int = 0) -> dict[str, Any]:
    """4-8-3, ReLU, softmax with cross-entropy, SGD; answers the scores and the weights."""
    import numpy as np

    training, validation = iris()
    generator = np.random.default_rng(seed)
    sizes = (training.x.shape[1], HIDDEN, CLASSES)
    weights: list[Any] = []
    for below, units in pairwise(sizes):
        limit = (6 / (below + units)) ** 0.5
        weights.append(generator.uniform(-limit, limit, (below, units)).astype(np.float32))
        weights.append(np.zeros(units, np.float32))
    for _ in range(EPOCHS):
        order = generator.permutation(len(training.y))
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            step(weights, training.x[rows], training.y[rows])
    return {"training": scores(weights, training), "validation": scores(weights, validation), "weights": weights}


def step(weights: list[Any], x: Any, y: Any) -> None:
    """One mini-batch's update, in place."""
    import numpy as np

    hidden, delta = forward(weights, x)
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    below = (delta @ weights[2].T) * (hidden > 0)
    for weight, gradient in zip(weights, (x.T @ below, below.sum(0), hidden.T @ delta, delta.sum(0)), strict=True):
        weight -= np.float32(RATE) * gradient
