"""How well trained networks predict rows they have not seen, beside scikit-learn's: same data, architecture and budget.

    python -m benchmarks.accuracy [--seeds 10]

For each seed a quarter of the rows is held out (scikit-learn's split, stratified for classes). Both sides standardise,
then train one hidden layer of 64 ReLU units with Adam at its defaults, 100 epochs of mini-batches of 32, no penalty
and no early stopping. deltaq runs as a service and predicts over HTTP. Scored by scikit-learn: accuracy, or R² for
diabetes.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import warnings
from typing import Any, NamedTuple

from benchmarks.machine import cpu_name
from benchmarks.service import ONE_THREAD, running_service

DATA = ("digits", "wine", "breast_cancer", "diabetes")
HIDDEN, EPOCHS, BATCH, RATE = 64, 100, 32, 1e-3
SPEC: dict[str, Any] = {
    "network": {"hidden": [HIDDEN]},
    "optimizer": {"name": "adam", "learning_rate": RATE},
    "epochs": EPOCHS,
    "batch_size": BATCH,
}


class Split(NamedTuple):
    """One seed's rows; shapes (rows, features) and (rows,)."""

    x_train: Any
    x_test: Any
    y_train: Any
    y_test: Any


def split(name: str, seed: int) -> Split:
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    strata = None if name == "diabetes" else y
    return Split(*train_test_split(x, y, test_size=0.25, random_state=seed, stratify=strata))


def score(name: str, truth: Any, predicted: Any) -> float:
    from sklearn.metrics import accuracy_score, r2_score

    return float((r2_score if name == "diabetes" else accuracy_score)(truth, predicted))


def peer_score(name: str, seed: int, rows: Split) -> float:
    """scikit-learn's network; a regression's target is standardised for it, as it is by deltaq."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    options: dict[str, Any] = {"hidden_layer_sizes": (HIDDEN,), "solver": "adam", "learning_rate_init": RATE}
    options |= {"batch_size": BATCH, "max_iter": EPOCHS, "n_iter_no_change": EPOCHS, "alpha": 0, "random_state": seed}
    if name == "diabetes":
        network: Any = TransformedTargetRegressor(MLPRegressor(**options), transformer=StandardScaler())
    else:
        network = MLPClassifier(**options)
    model = make_pipeline(StandardScaler(), network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it would like more epochs
        model.fit(rows.x_train, rows.y_train)
    return score(name, rows.y_test, model.predict(rows.x_test))


def own_score(client: Any, name: str, seed: int, rows: Split) -> float:
    """deltaq's, from an upload of the training rows alone: nothing of the others can leak into it."""
    dataset = client.datasets.add((rows.x_train, rows.y_train), name=f"{name}-{seed}")
    task = "regression" if name == "diabetes" else "auto"
    data = {"task": task, "validation_fraction": 0.0}
    job = client.submit({**SPEC, "dataset": dataset.id, "data": data, "seed": seed}).wait()
    predictions = job.model().predict(rows.x_test)
    answers = [one.value if name == "diabetes" else one.label for one in predictions]
    return score(name, rows.y_test, answers)


def compare(seeds: int) -> None:
    """Print the table, as it stands in the documentation."""
    from deltaq import Client

    print(f"machine: {cpu_name()}, {platform.system()}, Python {platform.python_version()}; {seeds} seeds\n")
    print("| data | score | deltaq | scikit-learn | difference | at most one standard error below |")
    print("|---|---|---|---|---|---|")
    with running_service() as url, Client(url) as client:
        for name in DATA:
            splits = [split(name, seed) for seed in range(seeds)]
            mine = [own_score(client, name, seed, rows) for seed, rows in enumerate(splits)]
            theirs = [peer_score(name, seed, rows) for seed, rows in enumerate(splits)]
            print(table_row(name, mine, theirs), flush=True)


def table_row(name: str, mine: list[float], theirs: list[float]) -> str:
    """Mean ± standard error of both, and whether ours is no worse than theirs minus their standard error."""
    difference = statistics.mean(mine) - statistics.mean(theirs)
    holds = difference >= -error(theirs)
    cells = [name, "R²" if name == "diabetes" else "accuracy", shown(mine), shown(theirs), f"{difference:+.4f}"]
    return f"| {' | '.join(cells)} | {'yes' if holds else 'no'} |"


def shown(scores: list[float]) -> str:
    return f"{statistics.mean(scores):.4f} ± {error(scores):.4f}"


def error(scores: list[float]) -> float:
    """The standard error of the mean."""
    return statistics.stdev(scores) / math.sqrt(len(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description="scores on rows not seen, beside scikit-learn's")
    parser.add_argument("--seeds", type=int, default=10)
    os.environ.update(ONE_THREAD)
    compare(parser.parse_args().seeds)


if __name__ == "__main__":
    main()
