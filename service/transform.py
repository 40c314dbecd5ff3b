"""From raw columns to a network's inputs and from its outputs back to labels and values. NumPy alone; knows no files.

A transform is fitted once, on the training part, in float64; it is stored beside the prepared arrays and travels with
the model, so that training and prediction run the same lines: (value − shift) / scale, or one-hot, then one cast.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service import strict_json
from service.datasets import ColumnKind, Label, Task, typed_label
from service.errors import BadData, FieldError
from service.features import SHOWN_LEVELS, BadValue, Numeric, OneHot

Row = Sequence[Any] | Mapping[str, Any]

FORMAT = 1


@dataclass(frozen=True)
class Target:
    """What the outputs mean: classes in the order of output units, or a value (output · scale + shift)."""

    name: str
    kind: ColumnKind
    task: Task
    outputs: int
    classes: tuple[Label, ...] = ()
    shift: float = 0.0
    scale: float = 1.0

    def encode(self, values: NDArray[Any], out: NDArray[np.floating]) -> None:
        """Write target rows: one-hot, 0 or 1 for one unit, or scaled values.

        Shapes: values (rows,) are numbers of classes, or values; out (rows, outputs).
        """
        if self.task == "regression":
            out[:, 0] = (values - self.shift) / self.scale
        elif self.outputs == 1:
            out[:, 0] = values
        else:
            out[...] = 0
            out[np.arange(len(values)), values] = 1

    def decode(self, outputs: NDArray[np.floating]) -> list[dict[str, Any]]:
        """Predictions of the contract; what is not finite is null.

        Shapes: outputs (rows, outputs).
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.task == "regression":
                values = _or_none(outputs[:, 0].astype(np.float64) * self.scale + self.shift)
                return [{"value": value} for value in values]
            return self._classes(outputs.astype(np.float64))

    def _classes(self, outputs: NDArray[np.float64]) -> list[dict[str, Any]]:
        chosen = (outputs[:, 0] > 0.5).astype(np.int64) if self.outputs == 1 else outputs.argmax(axis=-1)
        finite: list[bool] = np.asarray(np.isfinite(outputs).all(axis=-1)).tolist()
        names = [label_text(label) for label in self.classes]
        return [
            {"class": self.classes[number], "probabilities": dict(zip(names, row, strict=True))}
            if sound
            else {"class": None, "probabilities": dict.fromkeys(names)}
            for number, row, sound in zip(chosen.tolist(), _probabilities(outputs).tolist(), finite, strict=True)
        ]


@dataclass(frozen=True)
class Transform:
    """All columns that a model takes, in order, its target, and its precision."""

    features: tuple[Numeric | OneHot, ...]
    target: Target
    precision: str

    @property
    def inputs(self) -> int:
        """How many inputs the network has."""
        return sum(feature.width for feature in self.features)

    @property
    def classes(self) -> tuple[Label, ...]:
        """The labels in the order of output units, as they were uploaded; none for regression."""
        return self.target.classes

    def apply(self, rows: Sequence[Row]) -> NDArray[np.floating]:
        """Raw rows as a network takes them: each a list in the order of the features, or {column: value}.

        Shapes: (rows, inputs), in the model's precision.
        Raises: BadData naming row, column, value and what is allowed.
        """
        out = np.empty((len(rows), self.inputs), self.precision)
        if not len(rows):
            return out
        start = 0
        for number, (feature, values) in enumerate(zip(self.features, self._columns(rows), strict=True)):
            try:
                feature.encode(feature.read(values), out[:, start : start + feature.width])  # type: ignore[arg-type]
            except BadValue as bad:
                place = feature.name if isinstance(rows[bad.row], Mapping) else number
                raise _refused(bad.row, place, feature.name, values[bad.row], feature.allowed) from None
            start += feature.width
        return out

    def outputs(self, predictions: NDArray[np.floating]) -> list[dict[str, Any]]:
        """A network's outputs as the contract's predictions.

        Shapes: predictions (rows, outputs).
        """
        return self.target.decode(predictions)

    def to_json(self) -> dict[str, Any]:
        """The transform as plain JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Transform:
        """The transform of a document that `to_json` made.

        Raises: ValueError when a newer deltaq wrote it.
        """
        if document["format"] != FORMAT:
            raise ValueError(f"transform of format {document['format']!r}: this deltaq reads format {FORMAT}")
        target = document["target"]
        classes = _labels(target["kind"], target["classes"])
        features = tuple(_feature(feature) for feature in document["features"])
        return cls(features, Target(**{**target, "classes": classes}), document["precision"])

    def _columns(self, rows: Sequence[Row]) -> Iterable[Sequence[Any]]:
        if all(isinstance(row, Mapping) for row in rows):
            return [self._named(rows, feature.name) for feature in self.features]
        for number, row in enumerate(rows):
            if not isinstance(row, list | tuple):
                allowed = "every row a list of values, or every row an object {column: value}"
                raise _refused(number, None, None, row, allowed)
            if len(row) != len(self.features):
                names = ", ".join(feature.name for feature in self.features[:SHOWN_LEVELS])
                raise _refused(
                    number, None, None, f"{len(row)} values", f"{len(self.features)} values, in order: {names}"
                )
        return list(zip(*rows, strict=True))

    def _named(self, rows: Sequence[Any], name: str) -> Sequence[Any]:
        try:
            return [row[name] for row in rows]
        except KeyError:
            missing = next(number for number, row in enumerate(rows) if name not in row)
            feature = next(feature for feature in self.features if feature.name == name)
            raise _refused(missing, name, name, None, feature.allowed, "is missing") from None


def label_text(label: Label) -> str:
    """A label as a key of `probabilities`: as JSON writes it, text without its quotes."""
    return label if isinstance(label, str) else strict_json.encode(label)


def _probabilities(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """One unit is the second class's probability; several are read as a distribution, as cross-entropy reads them."""
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


def _feature(document: Mapping[str, Any]) -> Numeric | OneHot:
    if "levels" not in document:
        return Numeric(**document)
    return OneHot(**{**document, "levels": _labels(document["kind"], document["levels"])})


def _labels(kind: ColumnKind, labels: Iterable[Label]) -> tuple[Label, ...]:
    return tuple(typed_label(kind, label) for label in labels)


def _refused(row: int, place: str | int | None, name: str | None, value: Any, allowed: Any, what: str = "") -> BadData:
    shown = strict_json.printable(value[:200]) if isinstance(value, str) else value
    if not isinstance(shown, str | int | float | bool | None) or (type(shown) is int and shown.bit_length() > 63):
        shown = strict_json.printable(reprlib.repr(shown)[:200])  # repr itself cannot write what is nested deeply
    pointer = f"/rows/{row}" + ("" if place is None else f"/{str(place).replace('~', '~0').replace('/', '~1')}")
    where = f"rows[{row}]" + ("" if name is None else f", column {name!r}")
    what = what or f"{shown!r} cannot be taken"
    return BadData(f"{where}: {what}; allowed: {allowed}", errors=[FieldError(pointer, shown, what, allowed)])
