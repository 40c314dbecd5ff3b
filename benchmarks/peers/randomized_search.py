"""scikit-learn's RandomizedSearchCV with `n_jobs=2`: two processes that stay.

Asked how many trials, the side answers the seconds of a search of MLPClassifier, each trial one fit and one score.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers.digits import BATCH, EPOCHS, HIDDEN, RATE
from benchmarks.peers.scikit_learn import classifier
from benchmarks.peers.search import HIGHEST, LOWEST, parts
from benchmarks.sides import Ready, serve

PROCESSES = 2


def search(trials: int) -> float:
    """Seconds of so many trials."""
    import numpy as np
    from scipy.stats import loguniform
    from sklearn.model_selection import RandomizedSearchCV

    training, validation = parts()
    x, y = (np.concatenate(both) for both in zip(training, validation, strict=True))
    split = [(np.arange(len(training.y)), np.arange(len(training.y), len(y)))]
    model = classifier((HIDDEN,), BATCH, RATE, EPOCHS)
    rates = {"learning_rate_init": loguniform(LOWEST, HIGHEST)}
    found = RandomizedSearchCV(model, rates, n_iter=trials, n_jobs=PROCESSES, cv=split, refit=False)
    begun = time.perf_counter()
    found.fit(x, y)
    return time.perf_counter() - begun


@contextmanager
def randomized_search() -> Iterator[Ready]:
    """The side."""
    import os

    import sklearn

    os.environ["PYTHONWARNINGS"] = "ignore"  # its processes say that they would like more epochs
    warnings.simplefilter("ignore")
    yield f"scikit-learn {sklearn.__version__}", search


if __name__ == "__main__":
    serve(randomized_search)
