"""Rows to predict, as a file holds them: CSV with a head, or a JSON or YAML list.

A CSV cell is text; what it means is what its column meant when the model's data set was read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from deltaq.documents import content, parse
from deltaq.errors import InvalidInput
from deltaq.records import Column

_TRUTH = {"true": True, "false": False}


def read_rows(name: str, columns: Sequence[Column] | None) -> list[Any]:
    """Read the rows of a file; `columns` are those of the model's data set, None where it is gone.

    Raises: InvalidInput with the place of the mistake.
    """
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
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(head):
                raise InvalidInput(f"{name}, line {reader.line_num}: {len(cells)} cells, and {len(head)} in the head")
            rows.append({title: _cell(cell, title, columns) for title, cell in zip(head, cells, strict=True)})
    except csv.Error as error:
        raise InvalidInput(f"{name}, line {reader.line_num}: {error}") from error
    return rows


def _cell(cell: str, title: str, columns: Mapping[str, Column] | None) -> Any:
    column = columns.get(title) if columns is not None else None
    if cell == "":
        return None
    if column is None:
        return _number(cell) if columns is None else cell
    if column.type == "boolean":
        return _TRUTH.get(cell.lower(), cell)
    is_number = column.type == "numeric" or column.raw.get("minimum") is not None
    return _number(cell) if is_number else cell


def _number(cell: str) -> int | float | str:
    """A number where the cell is one; else the text, which the service refuses by row and column."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell
