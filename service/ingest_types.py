"""The columns of a table in one of four types: int64, float64, text, boolean. Knows no target and no file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from service.datasets import ColumnKind
from service.errors import BadData, FieldError

MAX_COLUMNS = 100_000
NAME_LENGTH = 200
SHOWN = 20


def check_names(names: Sequence[str]) -> list[str]:
    """The names of columns without white space around them.

    Raises: BadData naming a name that is empty, doubled, too long or not printable.
    """
    if len(names) > MAX_COLUMNS:
        raise BadData(f"the data has {len(names)} columns; allowed: at most {MAX_COLUMNS}")
    seen: dict[str, int] = {}
    for number, raw in enumerate(names, start=1):
        name = raw.strip()
        if not name:
            refuse(raw, raw, f"column {number} has no name", "a name for every column", name_first=False)
        if name in seen:
            refuse(name, raw, f"names columns {seen[name]} and {number}", "each name once")
        if len(name) > NAME_LENGTH or not name.isprintable():
            refuse(
                name[:NAME_LENGTH], raw[:NAME_LENGTH], "is no column name", f"1 to {NAME_LENGTH} printable characters"
            )
        seen[name] = number
    return list(seen)


def refuse(name: str, value: Any, what: str, allowed: Any, *, name_first: bool = True) -> NoReturn:
    """Refuse a column, saying which, why, and what is allowed.

    Raises: BadData.
    """
    pointer = "/columns/" + name.replace("~", "~0").replace("/", "~1")
    detail = f"column {name!r} {what}" if name_first else what
    shown = value if isinstance(value, str | int | float | bool | None) else str(value)
    words = ", ".join(map(repr, allowed[:SHOWN])) if isinstance(allowed, list) else allowed
    raise BadData(f"{detail}; allowed: {words}", errors=[FieldError(pointer, shown, detail, allowed)])


def normalise(name: str, raw: pa.ChunkedArray[Any]) -> tuple[ColumnKind, pa.ChunkedArray[Any]]:
    """A column in one of four types: int64, float64, text, boolean; what stands for nothing is null."""
    kind = raw.type
    if pa.types.is_dictionary(kind):
        return normalise(name, raw.cast(kind.value_type))
    if pa.types.is_boolean(kind):
        return "boolean", raw
    if pa.types.is_null(kind):
        return "float", raw.cast(pa.float64())
    if pa.types.is_integer(kind):
        return _integers(raw)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float", raw.cast(pa.float64(), safe=False)
    if pa.types.is_temporal(kind) or _is_text(kind):
        return "text", _text(name, raw)
    refuse(name, str(kind), f"is of type {kind}", "numbers, text, booleans and dates")


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return any(
        test(kind)
        for test in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
        )
    )


def _integers(raw: pa.ChunkedArray[Any]) -> tuple[ColumnKind, pa.ChunkedArray[Any]]:
    try:
        return "integer", raw.cast(pa.int64())
    except pa.ArrowInvalid:  # beyond 2^63
        return "float", raw.cast(pa.float64(), safe=False)


def _text(name: str, raw: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    try:
        values: pa.ChunkedArray[Any] = raw.cast(pa.string())
    except pa.ArrowInvalid:
        row = next((row for row, value in enumerate(raw, start=1) if not _is_utf8(value.as_py())), None)
        if row is None:
            raise
        refuse(name, None, f"row {row}: the text is not UTF-8", "text in UTF-8")
    empty = pc.equal(values, pa.scalar(""))
    found: pa.ChunkedArray[Any] = pc.if_else(empty, pa.scalar(None, pa.string()), values)
    return found


def _is_utf8(value: Any) -> bool:
    try:
        return not isinstance(value, bytes) or bool(value.decode("utf-8") or True)
    except UnicodeDecodeError:
        return False


def as_numbers(name: str, values: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Text or booleans as float64, where an upload says that they are numbers.

    Raises: BadData naming the first row that holds none.
    """
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int8()).cast(pa.float64())
    try:
        return pc.utf8_trim_whitespace(values).cast(pa.float64())
    except pa.ArrowInvalid:
        row = first_text(values)
        first = str(values[row].as_py())[:NAME_LENGTH]
        refuse(name, first, f"row {row + 1}: {first!r} is no number", "numbers")


def first_text(values: pa.ChunkedArray[Any]) -> int:
    """The index of the first text that is no number, by halving: Arrow says that there is one, not where."""
    start, rows = 0, len(values)
    while rows > 1:
        half = rows // 2
        try:
            pc.utf8_trim_whitespace(values.slice(start, half)).cast(pa.float64())
        except pa.ArrowInvalid:
            rows = half
        else:
            start, rows = start + half, rows - half
    return start
