"""scikit-learn's MLPClassifier.

`rounds`, asked (batch, epochs), answers the seconds of so many calls of `partial_fit`, each of which goes once through
all rows in mini-batches. `job`, asked anything, fits the digits' network and answers the seconds.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.made_rows import LEARNING_RATE, SIZES, Rows, made
from benchmarks.peers.digits import BATCH, EPOCHS, HIDDEN, RATE, digits
from benchmarks.sides import Ready, serve


def classifier(hidden: tuple[int, ...], batch: int, rate: float, epochs: int) -> Any:
    """Plain SGD."""
    from sklearn.neural_network import MLPClassifier

    options: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "learning_rate_init": rate}
    return MLPClassifier(hidden, batch_size=batch, max_iter=epochs, n_iter_no_change=epochs, **options)


def rounds(rows: Rows, question: Any) -> float:
    """Seconds of (batch, epochs)."""
    batch, epochs = question
    model = classifier(SIZES[1:-1], batch, LEARNING_RATE, epochs)
    model.partial_fit(rows.x[:batch], rows.y[:batch], classes=list(range(SIZES[-1])))  # its arrays are made
    begun = time.perf_counter()
    for _ in range(epochs):
        model.partial_fit(rows.x, rows.y)
    return time.perf_counter() - begun


def job(rows: Rows, _question: Any) -> float:
    """Seconds of a whole fit of the digits' network."""
    model = classifier((HIDDEN,), BATCH, RATE, EPOCHS)
    begun = time.perf_counter()
    model.fit(rows.x, rows.y)
    return time.perf_counter() - begun


@contextmanager
def scikit_learn() -> Iterator[Ready]:
    """The side; the command line says which."""
    import sklearn

    warnings.simplefilter("ignore")  # it says that it would like more epochs
    answer, rows = (rounds, made()) if sys.argv[1:] == ["rounds"] else (job, digits())
    yield f"scikit-learn {sklearn.__version__}", lambda question: answer(rows, question)


if __name__ == "__main__":
    serve(scikit_learn)
