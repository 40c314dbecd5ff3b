"""scikit-learn's MLPClassifier, its BLAS with two threads. Asked (batch, epochs), it answers the seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.made_rows import LEARNING_RATE, SIZES, made
from benchmarks.sides import Ready, serve


@contextmanager
def scikit_learn() -> Iterator[Ready]:
    """The side: `partial_fit` goes once through all rows, in mini-batches."""
    import sklearn
    from sklearn.neural_network import MLPClassifier

    rows = made()
    classes = list(range(SIZES[-1]))
    options: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "learning_rate_init": LEARNING_RATE}

    def seconds(question: Any) -> float:
        batch, epochs = question
        model = MLPClassifier(SIZES[1:-1], batch_size=batch, **options)
        model.partial_fit(rows.x[:batch], rows.y[:batch], classes=classes)  # its arrays are made
        begun = time.perf_counter()
        for _ in range(epochs):
            model.partial_fit(rows.x, rows.y)
        return time.perf_counter() - begun

    yield f"scikit-learn {sklearn.__version__}", seconds


if __name__ == "__main__":
    serve(scikit_learn)
