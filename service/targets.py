"""What a network's outputs mean, and what its targets are made of. NumPy alone; knows no feature.

Columns of values (regression) and columns of two levels (multilabel) have one output each, in their order. One column
of classes has one output for the second of two, or one for each class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.datasets import ColumnKind, Label, Task, label_text, typed_label

Predictions = list[dict[str, Any]]


@dataclass(frozen=True)
class TargetColumn:
    """One column that is learned: its classes in order, or how its values are scaled (output · scale + shift)."""

    name: str
    kind: ColumnKind
    classes: tuple[Label, ...] = ()
    shift: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Target:
    """The columns that are learned, their task, and how many outputs they have."""

    task: Task
    outputs: int
    columns: tuple[TargetColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def classes(self) -> tuple[Label, ...]:
        """The labels in the order of output units; none for values, and none for several columns."""
        return self.columns[0].classes if len(self.columns) == 1 else ()

    @property
    def shift(self) -> NDArray[np.float64]:
        """The shift of each column. Shapes: (columns,)."""
        return np.array([column.shift for column in self.columns])

    @property
    def scale(self) -> NDArray[np.float64]:
        """The scale of each column. Shapes: (columns,)."""
        return np.array([column.scale for column in self.columns])

    @property
    def holds_classes(self) -> bool:
        """Whether the columns' values are numbers of classes."""
        return self.task != "regression"

    def encode(self, answers: Sequence[NDArray[Any]], out: NDArray[np.floating]) -> None:
        """Write target rows: scaled values, 0 or 1 for one unit a column, or one-hot.

        Shapes: answers, one (rows,) for each column, are values or numbers of classes; out (rows, outputs).
        """
        if self.task in ("regression", "multilabel") or self.outputs == 1:
            for number, (column, values) in enumerate(zip(self.columns, answers, strict=True)):
                out[:, number] = values if self.holds_classes else (values - column.shift) / column.scale
        else:
            out[...] = 0
            out[np.arange(len(answers[0])), answers[0]] = 1

    def decode(self, outputs: NDArray[np.floating], *, threshold: float = 0.5, scores: bool = False) -> Predictions:
        """Predictions of the contract; what is not finite is null.

        A single output above `threshold` says the second class; `scores` says that outputs are no probabilities.
        Shapes: outputs (rows, outputs).
        """
        with np.errstate(over="ignore", invalid="ignore"):
            found = outputs.astype(np.float64)
            if self.task == "regression":
                return self._values(found * self.scale + self.shift)
            return self._labels(found) if self.task == "multilabel" else self._classes(found, threshold, scores)

    def _values(self, values: NDArray[np.float64]) -> Predictions:
        if len(self.columns) == 1:
            return [{"value": value} for value in _or_none(values[:, 0])]
        rows = zip(*(_or_none(column) for column in values.T), strict=True)
        return [{"values": dict(zip(self.names, row, strict=True))} for row in rows]

    def _labels(self, outputs: NDArray[np.float64]) -> Predictions:
        probable = [_or_none(column) for column in np.clip(outputs, 0, 1).T]
        return [
            {
                "labels": {
                    column.name: {
                        "value": None if probability is None else column.classes[probability > 0.5],
                        "probability": probability,
                    }
                    for column, probability in zip(self.columns, row, strict=True)
                }
            }
            for row in zip(*probable, strict=True)
        ]

    def _classes(self, outputs: NDArray[np.float64], threshold: float, scores: bool) -> Predictions:
        chosen = (outputs[:, 0] > threshold).astype(np.int64) if self.outputs == 1 else outputs.argmax(axis=-1)
        finite: list[bool] = np.asarray(np.isfinite(outputs).all(axis=-1)).tolist()
        names = [label_text(label) for label in self.classes]
        word, each = ("scores", as_scores(outputs)) if scores else ("probabilities", as_probabilities(outputs))
        return [
            {"class": self.classes[number], word: dict(zip(names, row, strict=True))}
            if sound
            else {"class": None, word: dict.fromkeys(names)}
            for number, row, sound in zip(chosen.tolist(), each.tolist(), finite, strict=True)
        ]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Target:
        """The target of a document that `asdict` made."""
        columns = tuple(
            TargetColumn(
                **{**column, "classes": tuple(typed_label(column["kind"], each) for each in column["classes"])}
            )
            for column in document["columns"]
        )
        return cls(document["task"], document["outputs"], columns)


def as_scores(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """A score for each class: a single output speaks for the second class and against the first.

    Shapes: outputs (rows, outputs) → (rows, classes).
    """
    return np.concatenate((-outputs, outputs), axis=-1) if outputs.shape[-1] == 1 else outputs


def as_probabilities(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """One unit is the second class's probability; several are read as a distribution, as cross-entropy reads them.

    Shapes: (rows, outputs) → (rows, classes).
    """
    inside = np.clip(outputs, 0, 1)
    if outputs.shape[-1] == 1:
        return np.concatenate((1 - inside, inside), axis=-1)
    total = inside.sum(axis=-1, keepdims=True)
    return np.where(total > 0, inside / np.where(total > 0, total, 1), 1 / outputs.shape[-1])


def _or_none(values: NDArray[np.float64]) -> list[float | None]:
    found: list[float | None] = values.tolist()
    if np.isfinite(values).all():
        return found
    return [value if sound else None for value, sound in zip(found, np.isfinite(values).tolist(), strict=True)]
