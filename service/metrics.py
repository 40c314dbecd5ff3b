"""What outputs are worth beside the truth, as scikit-learn's metrics have it. NumPy and float64; knows no network.

Every sum is over rows times their weights, 1 each where there are none, so that a row of weight 0 is as if it were not
there. What has no value is None: where one class of several, or one column, has none, it is left out of the average.

Source: scikit-learn, `sklearn.metrics`; Fawcett, An introduction to ROC analysis (2006), for the area with ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.datasets import Task

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Weights = NDArray[np.float64] | None

METRICS: Final[Mapping[Task, tuple[str, ...]]] = {
    "regression": ("r2", "mae", "rmse"),
    "binary": ("accuracy", "balanced_accuracy", "f1", "auc", "log_loss"),
    "multiclass": ("accuracy", "balanced_accuracy", "f1", "auc", "log_loss"),
    "multilabel": ("accuracy", "f1", "auc"),
}
ERRORS: Final = ("loss", "log_loss", "mae", "rmse")  # the smaller, the better

SORTED_AT_ONCE: Final = 1 << 16  # numbers: more columns at a time cost memory and save nothing


def metric_names(task: Task, *, probabilities: bool) -> tuple[str, ...]:
    """The metrics of a task; without probabilities there is no log loss."""
    return tuple(name for name in METRICS[task] if probabilities or name != "log_loss")


def is_metric(name: str) -> bool:
    """Whether a field of a row, or of a result, is a metric."""
    return name.startswith(("train_", "validation_"))


def is_error(metric: str) -> bool:
    """Whether less of it is better; `metric` is a column of the metrics."""
    return metric.partition("_")[2] in ERRORS


def confusion_matrix(truth: Classes, chosen: Classes, classes: int, weights: Weights) -> Floats:
    """The weight of the rows of each class, by the class that was chosen.

    Shapes: truth, chosen and weights (rows,); the answer (true class, chosen class).
    """
    counts = np.bincount(truth * classes + chosen, weights, classes * classes)
    return counts.reshape(classes, classes).astype(np.float64, copy=False)


def accuracy(matrix: Floats) -> float | None:
    """The part of the rows whose class was found."""
    return _ratio(float(matrix.trace()), float(matrix.sum()))


def balanced_accuracy(matrix: Floats) -> float | None:
    """The recall of each class that has rows, averaged."""
    return _mean_ratio(matrix.diagonal(), matrix.sum(axis=1))


def f1_of_second(matrix: Floats) -> float | None:
    """The F1 of the second of two classes; scikit-learn answers 0 where it is neither there nor chosen."""
    found = float(matrix[1, 1])
    return _ratio(2 * found, float(matrix[1].sum() + matrix[:, 1].sum()))


def f1_macro(matrix: Floats) -> float | None:
    """2 TP / (2 TP + FP + FN) of each class that is there or was chosen, averaged."""
    return _mean_ratio(2 * matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1))


def exact_match(truth: NDArray[np.bool_], chosen: NDArray[np.bool_], weights: Weights) -> float | None:
    """The part of the rows all of whose labels were found.

    Shapes: truth and chosen (rows, labels).
    """
    right = (truth == chosen).all(axis=-1)
    return _mean(right.astype(np.float64), weights)


def f1_of_labels(truth: NDArray[np.bool_], chosen: NDArray[np.bool_], weights: Weights) -> float | None:
    """The F1 of each label, averaged.

    Shapes: truth and chosen (rows, labels).
    """
    both = _sum(truth & chosen, weights)
    return _mean_ratio(2 * both, _sum(truth, weights) + _sum(chosen, weights))


def auc(scores: Floats, positive: NDArray[np.bool_], weights: Weights) -> float | None:
    """The area under the ROC curve of each column that has both kinds of rows, averaged.

    Shapes: scores and positive (columns, rows).
    """
    at_once = max(SORTED_AT_ONCE // max(scores.shape[-1], 1), 1)
    starts = range(0, len(scores), at_once)
    found = [
        _areas(scores[lo : lo + at_once], positive[lo : lo + at_once])
        if weights is None
        else _weighed_areas(scores[lo : lo + at_once], positive[lo : lo + at_once], weights)
        for lo in starts
    ]
    areas, possible = np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found])
    return _mean_ratio(areas, possible)


def _areas(scores: Floats, positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """For each column the number of pairs (a positive row, a negative one that scores less), and of all pairs.

    Pairs of equal scores count half. A positive row is above as many rows as its place among all the sorted scores
    says, the mean of the first and the last of its score; among them are the other positive ones, p² / 2 pairs in all.
    """
    ranked, rows = np.sort(scores, axis=-1), scores.shape[-1]
    areas, pairs = np.empty(len(scores)), np.empty(len(scores))
    for column, own in enumerate(positive):
        found = scores[column, own]
        places = sum(int(ranked[column].searchsorted(found, side).sum()) for side in ("left", "right"))
        areas[column] = (places - len(found) ** 2) / 2
        pairs[column] = len(found) * (rows - len(found))
    return areas, pairs


def _weighed_areas(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """For each column the weight of the pairs (a positive row, a negative one that scores less), and of all pairs.

    Pairs of equal scores count half: rows of one score are one group, between the sums up to the group before and its
    own. All columns' groups lie in one row, since a step that has them all costs little more than that of one.
    """
    columns, rows = scores.shape
    order = scores.argsort(axis=-1)
    places = order + np.arange(0, columns * rows, rows)[:, np.newaxis]
    ranked, hits = scores.ravel()[places], positive.ravel()[places]
    last = np.ones(ranked.shape, np.bool_)  # of its group
    np.not_equal(ranked[:, 1:], ranked[:, :-1], out=last[:, :-1])
    groups, ends = last.sum(axis=-1), np.flatnonzero(last)
    weight = weights[order]
    parts = (hits * weight, ~hits * weight)  # each sum on its own: one of them may be small beside the other
    above, below = (part.cumsum(axis=-1).ravel()[ends] for part in parts)
    last_groups = groups.cumsum() - 1
    first_groups = last_groups - groups + 1
    steps = (above - _before(above, first_groups)) * (below + _before(below, first_groups))
    return np.add.reduceat(steps, first_groups) / 2, above[last_groups] * below[last_groups]


def _before(sums: Floats, first: NDArray[np.int64]) -> Floats:
    """The sums of the groups before; 0 before the first one of each column."""
    found = np.roll(sums, 1)
    found[first] = 0
    return found


def log_loss(truth: Classes, probabilities: Floats, weights: Weights) -> float | None:
    """−ln of the true class's probability, which is kept from 0 and 1 by one unit in the last place of 1.

    Shapes: probabilities (rows, classes), each row's sum 1.
    """
    smallest = np.finfo(np.float64).eps
    of_truth = probabilities[np.arange(len(truth)), truth]
    return _mean(-np.log(of_truth.clip(smallest, 1 - smallest)), weights)


def r2(targets: Floats, outputs: Floats, weights: Weights) -> float | None:
    """1 − Σ(y − o)² / Σ(y − ȳ)² of each column, averaged; a column of one value has none (scikit-learn: 0 or 1).

    Shapes: targets and outputs (rows, columns).
    """
    rows = slice(None) if weights is None else weights > 0
    varies = (targets[rows] != targets[rows][:1]).any(axis=0)
    total = len(targets) if weights is None else weights.sum()
    if not total:
        return None
    mean = _sum(targets, weights) / total
    spread, error = _sum((targets - mean) ** 2, weights), _sum((targets - outputs) ** 2, weights)
    return _mean_ratio(spread - error, np.where(varies, spread, 0.0))


def mae(errors: Floats, weights: Weights) -> float | None:
    """The mean absolute error of each column, averaged. Shapes: errors (rows, columns)."""
    return _mean(np.abs(errors).mean(axis=-1), weights)


def rmse(errors: Floats, weights: Weights) -> float | None:
    """The root of the mean squared error of each column, averaged. Shapes: errors (rows, columns)."""
    total = len(errors) if weights is None else float(weights.sum())
    return float(np.sqrt(_sum(errors**2, weights) / total).mean()) if total else None


def _sum(values: NDArray[Any], weights: Weights) -> Floats:
    """The weighted sum over the rows. Shapes: (rows, columns) → (columns,)."""
    found: Floats = (values if weights is None else values * weights[:, np.newaxis]).sum(axis=0, dtype=np.float64)
    return found


def _mean(values: Floats, weights: Weights) -> float | None:
    if weights is None:
        return _ratio(float(values.sum()), len(values))
    return _ratio(float((values * weights).sum()), float(weights.sum()))


def _mean_ratio(parts: Floats, wholes: Floats) -> float | None:
    """The mean of part / whole over those that have a whole; None where none has."""
    there = wholes > 0
    return float((parts[there] / wholes[there]).mean()) if there.any() else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
