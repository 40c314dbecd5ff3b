"""Rows to predict, as a file holds them: CSV with a head, or a JSON or YAML list.

A CSV cell is text; what it means is what its column meant when the model's data set was read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deltaq.documents import content, parse
from deltaq.errors import InvalidInput
from deltaq.records import Column

_TRUTH = {"true": True, "false": False}


def read_rows(name: str, columns: Sequence[Column] | None) -> list[Any]:
    """Read the rows of a file; `columns` are those of the model's data set, None where it is gone.

    Raises: InvalidInput with the place of the mistake, or where there is no row.
    """
    rows = _rows(name, columns)
    if not rows:
        raise InvalidInput(f"{name}: no rows to predict")
    return rows


def _rows(name: str, columns: Sequence[Column] | None) -> list[Any]:
    text = content(name)
    if name.endswith(".csv"):
        return _csv(text, name, {column.name: column for column in columns} if columns is not None else None)
    document = parse(text, name)
    rows = document.get("rows") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise InvalidInput(f'{name}: expected a list of rows, or {{"rows": [...]}}')
    return rows


def _csv(text: str, name: str, columns: Mapping[str, Column] | None) -> list[dict[str, Any]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[dict[str, Any]] = []
    try:
        head = next(reader, [])
        meanings = [_meaning(title, columns) for title in head]
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(head):
                raise InvalidInput(f"{name}, line {reader.line_num}: {len(cells)} cells, and {len(head)} in the head")
            values = (meaning(cell) if cell else None for meaning, cell in zip(meanings, cells, strict=True))
            rows.append(dict(zip(head, values, strict=True)))
    except csv.Error as error:
        raise InvalidInput(f"{name}, line {reader.line_num}: {error}") from error
    return rows


def _meaning(title: str, columns: Mapping[str, Column] | None) -> Callable[[str], Any]:
    """How the cells of a column are read."""
    if columns is None:
        return _number
    column = columns.get(title)
    if column is None:
        return str
    if column.type == "boolean":
        return _truth
    is_number = column.type == "numeric" or column.raw.get("minimum") is not None
    return _number if is_number else str


def _truth(cell: str) -> bool | str:
    return _TRUTH.get(cell.lower(), cell)


def _number(cell: str) -> int | float | str:
    """A number where the cell is one; else the text, which the service refuses by row and column."""
    try:
        return int(cell) if cell.lstrip("+-").isdecimal() else float(cell)
    except ValueError:
        return cell
