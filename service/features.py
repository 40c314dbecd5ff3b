"""What one column is to a network: a number that is shifted and scaled, or one input for each level. NumPy alone.

Raw values come from anybody: each is held against what its column may have before it becomes a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.datasets import ColumnKind, Label

SHOWN_LEVELS = 20
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
    """A column of numbers: one input, (value − shift) / scale."""

    name: str
    shift: float
    scale: float

    width = 1

    def encode(self, values: NDArray[np.float64], out: NDArray[np.floating]) -> None:
        """Write the inputs of rows. Shapes: values (rows,), out (rows, 1)."""
        with np.errstate(over="ignore", invalid="ignore"):  # beyond the precision is infinite, and a prediction null
            out[:, 0] = (values - self.shift) / self.scale

    def read(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """The raw values of a column as numbers. Raises: BadValue with the row of one that is none."""
        if set(map(type, values)) <= _NUMBERS:
            try:
                found = np.array(values, dtype=np.float64)
            except OverflowError:  # an integer beyond every float
                pass
            else:
                if np.isfinite(found).all():
                    return found
        raise BadValue(next(row for row, value in enumerate(values) if not _is_finite(value)))

    @property
    def allowed(self) -> Any:
        """What a raw value may be."""
        return "a finite number"


@dataclass(frozen=True)
class OneHot:
    """A column of levels: one input a level, 1 at the row's own and 0 elsewhere."""

    name: str
    kind: ColumnKind
    levels: tuple[Label, ...]

    @property
    def width(self) -> int:
        """How many inputs it has."""
        return len(self.levels)

    def encode(self, values: NDArray[np.int64], out: NDArray[np.floating]) -> None:
        """Write the inputs of rows. Shapes: values (rows,) are numbers of levels, out (rows, levels)."""
        out[...] = 0
        out[np.arange(len(values)), values] = 1

    def read(self, values: Sequence[Any]) -> NDArray[np.int64]:
        """The raw values of a column as numbers of levels. Raises: BadValue with the row of an unknown one."""
        if set(map(type, values)) <= _KIND_TYPES[self.kind]:
            found = np.array([self._numbers.get(value, -1) for value in values], dtype=np.int64)
            if (found >= 0).all():
                return found
        types = _KIND_TYPES[self.kind]
        known = self._numbers
        raise BadValue(next(row for row, value in enumerate(values) if type(value) not in types or value not in known))

    @property
    def allowed(self) -> Any:
        """What a raw value may be."""
        shown = list(self.levels[:SHOWN_LEVELS])
        more = len(self.levels) - len(shown)
        return [*shown, f"… and {more} more"] if more else shown

    @cached_property
    def _numbers(self) -> dict[Label, int]:
        return {level: number for number, level in enumerate(self.levels)}


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in _NUMBERS and bool(np.isfinite(float(value)))
    except OverflowError:
        return False
