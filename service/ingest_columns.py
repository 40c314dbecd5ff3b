"""What the columns of a table are: names, types, levels, target and task, found over all rows. Knows no file.

Whatever cannot be learned from is refused by name of column and number of row (from 1), except missing features: those
are counted, and the job decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from service.datasets import Column, ColumnKind, Label, Task, choice_warning, constant_warning, task_of
from service.errors import BadData, FieldError

MAX_COLUMNS = 100_000
MAX_LEVELS = 1_000  # of text, of an override to categorical, of the target's classes
MAX_OTHER_LEVELS = 100  # kept of other columns of numbers, in case a job takes one for its target
NAME_LENGTH = 200
_SHOWN = 20


@dataclass(frozen=True)
class Description:
    """What reading an upload found."""

    rows: int
    columns: tuple[Column, ...]
    target: str
    task: Task
    classes: tuple[Label, ...]
    warnings: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """The description as plain JSON values."""
        return asdict(self)


def describe(table: pa.Table, target: str, overrides: Mapping[str, str]) -> tuple[Description, pa.Table]:
    """Find out what each column is; the table that is answered holds those not ignored, in their final types.

    Raises: BadData.
    """
    _check_order(table, target, overrides)
    columns, kept = [], {}
    for name in table.column_names:
        column, values = _describe_column(name, table.column(name), overrides.get(name), is_target=name == target)
        columns.append(column)
        if column.type != "ignore":
            kept[name] = values
    goal = next(column for column in columns if column.name == target)
    task, classes = _check_target(goal, kept[target])
    features = [column for column in columns if column.name != target and column.type != "ignore"]
    if not features:
        refuse(target, None, "is the only column; there is nothing to learn from", "one more column at least")
    warnings = [choice_warning(goal, task), constant_warning(features), *map(_empty_warning, features)]
    said = tuple(warning for warning in warnings if warning)
    return Description(table.num_rows, tuple(columns), target, task, classes, said), pa.table(kept)


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
    words = ", ".join(map(repr, allowed[:_SHOWN])) if isinstance(allowed, list) else allowed
    raise BadData(f"{detail}; allowed: {words}", errors=[FieldError(pointer, shown, detail, allowed)])


def _check_order(table: pa.Table, target: str, overrides: Mapping[str, str]) -> None:
    names = table.column_names
    if target not in names:
        error = FieldError("/target", target[:NAME_LENGTH], "no such column", names[:_SHOWN])
        shown = ", ".join(map(repr, names[:_SHOWN]))
        raise BadData(f"target {target[:NAME_LENGTH]!r} is no column of the data; allowed: {shown}", errors=[error])
    for name in overrides:
        if name not in names:
            refuse(name[:NAME_LENGTH], overrides[name], "is not in the data", names[:_SHOWN])
    if overrides.get(target) == "ignore":
        refuse(target, "ignore", "is the target and cannot be ignored", ["numeric", "categorical"])
    if not table.num_rows:
        raise BadData("the data has no row; allowed: one row at least")


def _describe_column(
    name: str, raw: pa.ChunkedArray[Any], override: str | None, *, is_target: bool
) -> tuple[Column, pa.ChunkedArray[Any]]:
    if override == "ignore":
        kind: ColumnKind = "text"
        return Column(name, "ignore", kind, missing=raw.null_count), raw
    kind, values = _normalise(name, raw)
    if override == "numeric" and kind in ("text", "boolean"):
        kind, values = "float", _as_numbers(name, values)
    if kind in ("integer", "float"):
        column, values = _describe_numbers(name, kind, values)
    else:
        column = Column(name, "boolean" if kind == "boolean" else "categorical", kind)
    if override == "categorical":
        column = replace(column, type="categorical")
    column = replace(column, missing=values.null_count, distinct=pc.count_distinct(values, mode="only_valid").as_py())
    return _with_levels(column, values, is_target=is_target), values


def _with_levels(column: Column, values: pa.ChunkedArray[Any], *, is_target: bool) -> Column:
    most = MAX_LEVELS if column.categorical or is_target else MAX_OTHER_LEVELS
    if column.distinct <= most:
        levels: list[Any] = pc.unique(values.drop_null()).to_pylist()
        return replace(column, levels=tuple(sorted(levels)))
    if column.categorical:
        _refuse_levels(column, values)
    return column


def _refuse_levels(column: Column, values: pa.ChunkedArray[Any]) -> NoReturn:
    what = f"has {column.distinct} different values"
    if column.kind == "text":
        row = _first_text(values)
        first = str(values[row].as_py())[:NAME_LENGTH]
        what += f", and not all are numbers: the first that is none is {first!r} in row {row + 1}"
    refuse(column.name, column.distinct, what, f"at most {MAX_LEVELS} levels, numbers, or the column ignored")


def _normalise(name: str, raw: pa.ChunkedArray[Any]) -> tuple[ColumnKind, pa.ChunkedArray[Any]]:
    """A column in one of four types: int64, float64, text, boolean; what stands for nothing is null."""
    kind = raw.type
    if pa.types.is_dictionary(kind):
        return _normalise(name, raw.cast(kind.value_type))
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


def _as_numbers(name: str, values: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int8()).cast(pa.float64())
    try:
        return pc.utf8_trim_whitespace(values).cast(pa.float64())
    except pa.ArrowInvalid:
        row = _first_text(values)
        first = str(values[row].as_py())[:NAME_LENGTH]
        refuse(name, first, f"row {row + 1}: {first!r} is no number", "numbers")


def _first_text(values: pa.ChunkedArray[Any]) -> int:
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


def _describe_numbers(name: str, kind: ColumnKind, values: pa.ChunkedArray[Any]) -> tuple[Column, pa.ChunkedArray[Any]]:
    if kind == "float":
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), pc.add(values, 0.0))  # -0.0 becomes 0.0
        infinite = pc.index(pc.is_inf(values), True).as_py()
        if infinite >= 0:
            refuse(name, str(values[infinite].as_py()), f"row {infinite + 1}: the number is infinite", "finite numbers")
    found = values.drop_null()
    whole = len(found) > 0 and (kind == "integer" or bool(pc.all(pc.equal(found, pc.trunc(found))).as_py()))
    ends: Any = pc.min_max(found).as_py()
    low, high = (None if end is None else float(end) for end in (ends["min"], ends["max"]))
    return Column(name, "numeric", kind, whole=whole, minimum=low, maximum=high), values


def _check_target(target: Column, values: pa.ChunkedArray[Any]) -> tuple[Task, tuple[Label, ...]]:
    if target.missing:
        row = pc.index(pc.is_null(values), True).as_py() + 1
        more = f" ({target.missing} rows in all)" if target.missing > 1 else ""
        refuse(target.name, None, f"row {row}: the target has no value{more}", "a value in every row")
    task = task_of(target)
    if task == "regression":
        return task, ()
    levels = target.levels or ()
    if len(levels) < 2:
        refuse(target.name, levels[0], f"has one class alone, {levels[0]!r}", "a target with two classes or more")
    return task, levels


def _empty_warning(column: Column) -> str | None:
    return None if column.distinct else f"column {column.name!r} has no value in any row"
