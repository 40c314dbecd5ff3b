"""What the columns of a table are: names, types, levels, target and task, found over all rows. Knows no file.

Whatever cannot be learned from is refused by name of column and number of row (from 1), except missing features: those
are counted, and the job decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from service.datasets import (
    Column,
    ColumnKind,
    Label,
    Task,
    choice_warning,
    constant_target_warning,
    constant_warning,
    task_of,
)
from service.errors import BadData, FieldError
from service.ingest_types import NAME_LENGTH, SHOWN, as_numbers, first_text, normalise, refuse
from service.strict_json import quoted

MAX_LEVELS = 1_000  # of text, of an override to categorical, of the target's classes
MAX_OTHER_LEVELS = 100  # kept of other columns of numbers, in case a job takes one for its target


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
    warnings = [choice_warning(goal, task), constant_warning(features), constant_target_warning([goal])]
    warnings += map(_empty_warning, features)
    said = tuple(warning for warning in warnings if warning)
    return Description(table.num_rows, tuple(columns), target, task, classes, said), pa.table(kept)


def _check_order(table: pa.Table, target: str, overrides: Mapping[str, str]) -> None:
    names = table.column_names
    if target not in names:
        error = FieldError("/target", target[:NAME_LENGTH], "no such column", names[:SHOWN])
        shown = ", ".join(map(repr, names[:SHOWN]))
        raise BadData(f"target {target[:NAME_LENGTH]!r} is no column of the data; allowed: {shown}", errors=[error])
    for name in overrides:
        if name not in names:
            refuse(name[:NAME_LENGTH], overrides[name], "is not in the data", names[:SHOWN])
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
    kind, values = normalise(name, raw)
    if override == "numeric" and kind in ("text", "boolean"):
        kind, values = "float", as_numbers(name, values)
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
        counted = pc.value_counts(values.drop_null())
        levels: list[Any] = counted.field("values").to_pylist()
        rarest = pc.min(counted.field("counts")).as_py() or 0
        return replace(column, levels=tuple(sorted(levels)), rarest=rarest)
    if column.categorical:
        _refuse_levels(column, values)
    return column


def _refuse_levels(column: Column, values: pa.ChunkedArray[Any]) -> NoReturn:
    what = f"has {column.distinct} different values"
    if column.kind == "text":
        row = first_text(values)
        first = str(values[row].as_py())[:NAME_LENGTH]
        what += f", and not all are numbers: the first that is none is {first!r} in row {row + 1}"
    refuse(column.name, column.distinct, what, f"at most {MAX_LEVELS} levels, numbers, or the column ignored")


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
        refuse(target.name, levels[0], f"has one class alone, {quoted(levels[0])}", "a target with two classes or more")
    return task, levels


def _empty_warning(column: Column) -> str | None:
    return None if column.distinct else f"column {column.name!r} has no value in any row"
