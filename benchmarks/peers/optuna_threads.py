"""Optuna with `n_jobs=2` in one process: two threads. Asked how many trials, it answers the seconds of a search."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers.search import HIGHEST, LOWEST, train
from benchmarks.sides import Ready, serve

THREADS = 2


def search(trials: int) -> float:
    """Seconds of so many trials."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler())
    begun = time.perf_counter()
    study.optimize(
        lambda trial: train(trial.suggest_float("rate", LOWEST, HIGHEST, log=True)), n_trials=trials, n_jobs=THREADS
    )
    return time.perf_counter() - begun


@contextmanager
def optuna_threads() -> Iterator[Ready]:
    """The side."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield f"Optuna {optuna.__version__}", search


if __name__ == "__main__":
    serve(optuna_threads)
