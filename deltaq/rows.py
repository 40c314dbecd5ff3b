"""Rows to predict, from what people hold them in: lists, arrays, DataFrames. Imports no library of arrays.

Everything is taken a page at a time, so that a large frame is never copied as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from deltaq.errors import InvalidInput
from deltaq.strict_json import Path as JsonPath
from deltaq.strict_json import loose, not_finite, pointer

BLOCK = 256  # the service predicts in blocks of so many rows: pages of whole blocks get the bits of one long table
PAGE = 10_000 // BLOCK * BLOCK  # one call takes 10,000 rows
VALUES = 1_000_000  # and 64 MB


def pages(rows: Any, page: int = PAGE) -> Iterator[list[Any]]:
    """Cut rows into pages of plain lists or mappings, in order; `page` rows each, fewer where rows are wide.

    Shapes: a list or iterable of rows; an array of (rows, features); a DataFrame. A single row is an error.
    Raises: InvalidInput for anything else.
    """
    if isinstance(rows, str | bytes | Mapping):
        raise InvalidInput(f"rows must be a list of rows, an array or a DataFrame, not one {type(rows).__name__}")
    if hasattr(rows, "shape"):
        yield from _sliced(rows, page)
    elif isinstance(rows, Iterable):
        iterator = iter(rows)
        for first in iterator:
            width = len(first) if hasattr(first, "__len__") else 1
            yield list(chain([first], islice(iterator, _fitting(page, width) - 1)))
    else:
        raise InvalidInput(f"rows must be a list of rows, an array or a DataFrame, not {type(rows).__name__}")


def body(page: list[Any], first: int) -> bytes:
    """A page as the body of a call; what is missing, None or NaN, becomes null.

    `first` is the number of the page's first row.
    Raises: InvalidInput for infinity, which is not missing, by its JSON pointer; for what has no JSON.
    """

    def place(path: JsonPath) -> str:
        return pointer((*path[:1], *(first + int(row) for row in path[1:2]), *path[2:]))

    document = {"rows": page}
    content = loose(document, place)
    for path, value in not_finite(document, content):
        if math.isinf(value):
            raise InvalidInput(f"{place(path)}: {value} is not a finite number; a missing value is None or NaN")
    return content


def _sliced(rows: Any, page: int) -> Iterator[list[Any]]:
    if len(rows.shape) != 2:
        raise InvalidInput(f"rows must have two dimensions, (rows, features), not shape {tuple(rows.shape)}")
    size = _fitting(page, rows.shape[1])
    for start in range(0, rows.shape[0], size):
        yield _plain(rows[start : start + size])


def _fitting(page: int, width: int) -> int:
    """How many rows of so many values go into a page: whole blocks where one fits."""
    fit = max(1, VALUES // max(1, width))
    return min(page, fit // BLOCK * BLOCK or fit)


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
