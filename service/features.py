"""What one column is to a network: a number that is shifted and scaled, or one input for each level. NumPy alone.

Raw values come from anybody: each is held against what its column may have before it becomes a number. A number that
is missing is NaN, a level one of two codes below 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.datasets import ColumnKind, Label

SHOWN_LEVELS = 20
UNSEEN: Final = -1  # in place of a level's number: a level that the training data did not have
MISSING: Final = -2  # and: no value
_NOTHING = type(None)
_NUMBERS = frozenset({int, float})
_KIND_TYPES: Mapping[str, frozenset[type]] = {
    "integer": _NUMBERS,
    "float": _NUMBERS,
    "text": frozenset({str}),
    "boolean": frozenset({bool}),
}


class BadValue(Exception):
    """A raw value that its column cannot have."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: one input, (value − shift) / scale, and one more where missing values are told apart."""

    name: str
    shift: float
    scale: float
    fill: float | None = None  # what a missing value is taken for; None: it is refused
    indicator: bool = False  # one more input: 1 where the value is missing, else 0

    @property
    def width(self) -> int:
        """How many inputs it has."""
        return 1 + self.indicator

    def encode(self, values: NDArray[np.float64], out: NDArray[np.floating]) -> None:
        """Write the inputs of rows. Shapes: values (rows,), NaN where missing; out (rows, 1 or 2)."""
        missing = np.isnan(values)
        filled = values if self.fill is None else np.where(missing, self.fill, values)
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the precision is infinite, and a prediction null
            out[:, 0] = (filled - self.shift) / self.scale
        if self.indicator:
            out[:, 1] = missing

    def read(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """The raw values of a column as numbers. Raises: BadValue with the row of one that is none."""
        if set(map(type, values)) <= (_NUMBERS if self.fill is None else {*_NUMBERS, _NOTHING}):
            try:
                found = np.array(values, dtype=np.float64)  # None becomes NaN
            except OverflowError:  # an integer beyond every float
                pass
            else:
                if not (np.isinf(found) if self.fill is not None else ~np.isfinite(found)).any():
                    return found
        raise BadValue(next(row for row, value in enumerate(values) if not self._takes(value)))

    @property
    def allowed(self) -> Any:
        """What a raw value may be."""
        return "a finite number" if self.fill is None else "a finite number, or null where it is missing"

    def _takes(self, value: Any) -> bool:
        return _is_finite(value) or (self.fill is not None and is_missing(value))


@dataclass(frozen=True)
class OneHot:
    """A column of levels: one input a level, 1 at the row's own and 0 elsewhere; all are 0 for a level not seen."""

    name: str
    kind: ColumnKind
    levels: tuple[Label, ...]
    fill: int | None = None  # number of the input that is 1 where the value is missing; None: it is refused
    indicator: bool = False  # one more input, the last: the level "missing"

    @property
    def width(self) -> int:
        """How many inputs it has."""
        return len(self.levels) + self.indicator

    def encode(self, values: NDArray[np.int64], out: NDArray[np.floating]) -> None:
        """Write the inputs of rows. Shapes: values (rows,) are numbers of levels or codes, out (rows, inputs)."""
        out[...] = 0
        filled = values if self.fill is None else np.where(values == MISSING, self.fill, values)
        rows = np.flatnonzero(filled >= 0)
        out[rows, filled[rows]] = 1

    def read(self, values: Sequence[Any]) -> NDArray[np.int64]:
        """The raw values of a column as numbers of levels, UNSEEN or MISSING.

        Raises: BadValue with the row of one of another type, or missing where that is refused.
        """
        known = self._numbers
        if set(map(type, values)) <= _KIND_TYPES[self.kind]:
            found = np.array([known.get(value, UNSEEN) for value in values], dtype=np.int64)
            if (found >= 0).all():
                return found
        if not all(map(self._takes, values)):
            raise BadValue(next(row for row, value in enumerate(values) if not self._takes(value)))
        codes = [MISSING if is_missing(value) else known.get(value, UNSEEN) for value in values]
        return np.array(codes, dtype=np.int64)

    @property
    def allowed(self) -> Any:
        """What a raw value may be."""
        shown: list[Any] = list(self.levels[:SHOWN_LEVELS])
        more = len(self.levels) - len(shown)
        if more:
            shown.append(f"… and {more} more")
        return shown if self.fill is None else [*shown, None]

    def _takes(self, value: Any) -> bool:
        if is_missing(value):
            return self.fill is not None
        return type(value) in _KIND_TYPES[self.kind] and (type(value) not in _NUMBERS or _is_finite(value))

    @cached_property
    def _numbers(self) -> dict[Label, int]:
        return {level: number for number, level in enumerate(self.levels)}


def is_missing(value: Any) -> bool:
    """Whether a raw value stands for none: null, or NaN."""
    return value is None or (type(value) is float and value != value)


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in _NUMBERS and bool(np.isfinite(float(value)))
    except OverflowError:
        return False
