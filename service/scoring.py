"""What the outputs for given rows are worth: which metrics a task has, and what its outputs say. Knows no network.

The truth does not change from epoch to epoch: a scorer looks at it once. Errors of values are in the target's own
units, and probabilities are those that a prediction answers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service import metrics
from service.datasets import Label
from service.metrics import METRICS, Floats, Weights
from service.targets import Target, as_probabilities
from workers.datafiles import PartData
from workers.mlp.architecture import Architecture
from workers.mlp.losses import Loss, find_loss

MOST_CLASSES: Final = 100  # of a confusion matrix that is answered: it has the square of them

Outputs = NDArray[np.floating]
Scores = dict[str, float | None]
Confusion = list[list[float]] | None


def scorer_for(target: Target, network: Architecture, rows: PartData) -> Scorer:
    """The scorer of a network's outputs for these rows, whose truth and weights it keeps."""
    loss = find_loss(network.loss, network.layers[-1].activation)
    weights = None if rows.w is None else rows.w.astype(np.float64)
    if target.task == "regression":
        return ValueScorer(target.scale, rows.y, weights)
    if target.task == "multilabel":
        return LabelScorer(loss, rows.y, weights)
    return ClassScorer(len(target.classes), loss, rows.y, weights)


def answered(matrix: Confusion, classes: Sequence[Label]) -> dict[str, Any] | None:
    """A confusion matrix as users see it: rows are true classes, columns chosen ones; None where it is too large."""
    if matrix is None or len(classes) > MOST_CLASSES:
        return None
    return {"classes": list(classes), "matrix": matrix}


class Scorer(ABC):
    """Scores outputs in the order of the rows whose truth it knows.

    Shapes: outputs (rows, outputs).
    """

    def score(self, outputs: Outputs) -> Scores:
        """Each metric of the task, in order; None for one that has no value, or none that is finite."""
        if not np.isfinite(outputs).all():
            return dict.fromkeys(self.names)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._score(outputs)
        return {name: _finite(found[name]) for name in self.names}

    def confusion(self, outputs: Outputs) -> Confusion:
        """The weight of the rows of each class, by the class that was chosen; None where there are no classes."""
        return None

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of the metrics."""

    @abstractmethod
    def _score(self, outputs: Outputs) -> Scores: ...


class ClassScorer(Scorer):
    """Of one class for each row: what one output says by its threshold, or the largest of several."""

    def __init__(self, classes: int, loss: Loss, targets: Outputs, weights: Weights) -> None:
        self._classes = classes
        self._loss = loss
        self._weights = weights
        self._truth = (targets[:, 0] > 0.5).astype(np.int64) if targets.shape[-1] == 1 else targets.argmax(axis=-1)
        areas = np.arange(1 if classes == 2 else 0, classes)  # of two classes, the second's
        self._positive = self._truth == areas[:, np.newaxis]

    @property
    def names(self) -> tuple[str, ...]:
        """Accuracy, balanced accuracy, F1, AUC and, of probabilities, log loss."""
        return metrics.metric_names("multiclass", probabilities=self._loss.probabilities)

    def confusion(self, outputs: Outputs) -> Confusion:
        """The weight of the rows of each class, by the class that was chosen; whole numbers where none has a weight."""
        matrix = self._matrix(outputs)
        found: Confusion = (matrix.astype(np.int64) if self._weights is None else matrix).tolist()
        return found

    def _matrix(self, outputs: Outputs) -> Floats:
        one = outputs.shape[-1] == 1
        chosen = (outputs[:, 0] > self._loss.threshold).astype(np.int64) if one else outputs.argmax(axis=-1)
        return metrics.confusion_matrix(self._truth, chosen, self._classes, self._weights)

    def _score(self, outputs: Outputs) -> Scores:
        matrix, scores = self._matrix(outputs), outputs.astype(np.float64)
        found = {
            "accuracy": metrics.accuracy(matrix),
            "balanced_accuracy": metrics.balanced_accuracy(matrix),
            "f1": metrics.f1_of_second(matrix) if self._classes == 2 else metrics.f1_macro(matrix),
        }
        if self._loss.probabilities:
            scores = as_probabilities(scores)
            found["log_loss"] = metrics.log_loss(self._truth, scores, self._weights)
        columns = np.ascontiguousarray(scores[:, -len(self._positive) :].T)
        return {**found, "auc": metrics.auc(columns, self._positive, self._weights)}


class LabelScorer(Scorer):
    """Of several labels for each row, an output each."""

    names = METRICS["multilabel"]

    def __init__(self, loss: Loss, targets: Outputs, weights: Weights) -> None:
        self._threshold = loss.threshold
        self._weights = weights
        self._truth = targets > 0.5
        self._positive = np.ascontiguousarray(self._truth.T)

    def _score(self, outputs: Outputs) -> Scores:
        chosen = outputs > self._threshold
        return {
            "accuracy": metrics.exact_match(self._truth, chosen, self._weights),
            "f1": metrics.f1_of_labels(self._truth, chosen, self._weights),
            "auc": metrics.auc(np.array(outputs.T, np.float64, order="C"), self._positive, self._weights),
        }


class ValueScorer(Scorer):
    """Of values, in the target's own units; R² is the same in all.

    Shapes: scale (outputs,).
    """

    names = METRICS["regression"]

    def __init__(self, scale: Floats, targets: Outputs, weights: Weights) -> None:
        self._scale = scale
        self._truth = targets.astype(np.float64)
        self._weights = weights

    def _score(self, outputs: Outputs) -> Scores:
        errors = (outputs - self._truth) * self._scale
        return {
            "r2": metrics.r2(self._truth, outputs.astype(np.float64), self._weights),
            "mae": metrics.mae(errors, self._weights),
            "rmse": metrics.rmse(errors, self._weights),
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
