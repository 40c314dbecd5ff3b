"""From raw columns to a network's inputs and from its outputs back to labels and values. NumPy alone; knows no files.

A transform is fitted once, on the training part, in float64; it is stored beside the prepared arrays and travels with
the model, so that training and prediction run the same lines: (value − shift) / scale, or one-hot, then one cast.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service import strict_json
from service.datasets import ColumnKind, Label, typed_label
from service.errors import BadData, FieldError, pointer_to
from service.features import SHOWN_LEVELS, UNSEEN, BadValue, Numeric, OneHot
from service.targets import Target, TargetColumn

__all__ = ["Row", "Target", "TargetColumn", "Transform", "unseen_warning"]

Row = Sequence[Any] | Mapping[str, Any]

SHOWN_UNSEEN = 5
FORMAT = 2  # 1 had one target and no missing values


@dataclass(frozen=True)
class Transform:
    """All columns that a model takes, in order, what it answers, and its precision."""

    features: tuple[Numeric | OneHot, ...]
    target: Target
    precision: str
    weight: str | None = None  # the column of sample weights that it was trained with

    @property
    def inputs(self) -> int:
        """How many inputs the network has."""
        return sum(feature.width for feature in self.features)

    @property
    def classes(self) -> tuple[Label, ...]:
        """The labels in the order of output units, as they were uploaded; none for regression."""
        return self.target.classes

    def apply(self, rows: Sequence[Row], warnings: list[str] | None = None) -> NDArray[np.floating]:
        """Raw rows as a network takes them: each a list in the order of the features, or {column: value}.

        Levels that the training data did not have are encoded as none; `warnings` gets a line for each such column.
        Shapes: (rows, inputs), in the model's precision.
        Raises: BadData naming row, column, value and what is allowed.
        """
        out = np.empty((len(rows), self.inputs), self.precision)
        if not len(rows):
            return out
        start = 0
        for number, (feature, values) in enumerate(zip(self.features, self._columns(rows), strict=True)):
            try:
                found = feature.read(values)
            except BadValue as bad:
                place = feature.name if isinstance(rows[bad.row], Mapping) else number
                raise _refused(bad.row, place, feature.name, values[bad.row], feature.allowed) from None
            feature.encode(found, out[:, start : start + feature.width])  # type: ignore[arg-type]
            start += feature.width
            if warnings is not None and isinstance(feature, OneHot) and (found == UNSEEN).any():
                warnings.append(
                    unseen_warning(feature.name, [values[row] for row in np.flatnonzero(found == UNSEEN).tolist()])
                )
        return out

    def outputs(
        self, predictions: NDArray[np.floating], *, threshold: float = 0.5, scores: bool = False
    ) -> list[dict[str, Any]]:
        """A network's outputs as the contract's predictions; what the loss says of them is as in `Target.decode`.

        Shapes: predictions (rows, outputs).
        """
        return self.target.decode(predictions, threshold=threshold, scores=scores)

    def to_json(self) -> dict[str, Any]:
        """The transform as plain JSON values, which nobody changes: each of several models may hold them."""
        return {"format": FORMAT, **self._fields}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Transform:
        """The transform of a document that `to_json` made, of this format or of format 1.

        Raises: ValueError when a newer deltaq wrote it.
        """
        if document["format"] not in (1, FORMAT):
            raise ValueError(f"transform of format {document['format']!r}: this deltaq reads formats 1 to {FORMAT}")
        target = document["target"]
        if document["format"] == 1:
            column = {name: value for name, value in target.items() if name not in ("task", "outputs")}
            target = {"task": target["task"], "outputs": target["outputs"], "columns": [column]}
        features = tuple(_feature(feature) for feature in document["features"])
        return cls(features, Target.from_json(target), document["precision"], document.get("weight"))

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return asdict(self)

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


def unseen_warning(name: str, values: Sequence[Any]) -> str:
    """What is said of the values of a column that are none of its levels, one for each row that has one."""
    different = list(dict.fromkeys(values))
    shown = ", ".join(_printable(value) for value in different[:SHOWN_UNSEEN])
    more = f" and {len(different) - SHOWN_UNSEEN} more" if len(different) > SHOWN_UNSEEN else ""
    return (
        f"column {name!r}: {shown}{more} ({len(values)} row(s)) was not in the training data;"
        " such a row is encoded as none of the column's levels"
    )


def _printable(value: Any) -> str:
    return repr(strict_json.printable(value[:40])) if isinstance(value, str) else reprlib.repr(value)


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
    pointer = pointer_to("rows", row, *([] if place is None else [place]))
    where = f"rows[{row}]" + ("" if name is None else f", column {name!r}")
    what = what or f"{strict_json.quoted(shown)} cannot be taken"
    return BadData(
        f"{where}: {what}; allowed: {strict_json.in_words(allowed)}", errors=[FieldError(pointer, shown, what, allowed)]
    )
