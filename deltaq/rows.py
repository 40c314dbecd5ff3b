"""Rows to predict, from what people hold them in: lists, arrays, DataFrames. Imports no library of arrays.

Everything is taken a page at a time, so that a large frame is never copied as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from deltaq.errors import InvalidInput

PAGE = 10_000  # the most rows that one call may hold


def pages(rows: Any, size: int = PAGE) -> Iterator[list[Any]]:
    """Cut rows into pages of plain lists or mappings, in order.

    Shapes: a list or iterable of rows; an array of (rows, features); a DataFrame. A single row is an error.
    Raises: InvalidInput for anything else.
    """
    if isinstance(rows, str | bytes | Mapping):
        raise InvalidInput(f"rows must be a list of rows, an array or a DataFrame, not one {type(rows).__name__}")
    if hasattr(rows, "shape"):
        yield from _sliced(rows, size)
    elif isinstance(rows, Iterable):
        iterator = iter(rows)
        while page := list(islice(iterator, size)):
            yield page
    else:
        raise InvalidInput(f"rows must be a list of rows, an array or a DataFrame, not {type(rows).__name__}")


def _sliced(rows: Any, size: int) -> Iterator[list[Any]]:
    if len(rows.shape) != 2:
        raise InvalidInput(f"rows must have two dimensions, (rows, features), not shape {tuple(rows.shape)}")
    for start in range(0, rows.shape[0], size):
        yield _plain(rows[start : start + size])


def _plain(page: Any) -> list[Any]:
    """A page of an array or a frame as lists or mappings, by its own methods."""
    if hasattr(page, "to_dicts"):  # polars
        return list(page.to_dicts())
    if hasattr(page, "to_dict"):  # pandas
        return list(page.to_dict(orient="records"))
    if hasattr(page, "to_pylist"):  # pyarrow
        return list(page.to_pylist())
    if hasattr(page, "tolist"):
        return list(page.tolist())
    raise InvalidInput(f"a {type(page).__name__} cannot be turned into rows: it has no tolist, to_dicts or to_dict")
