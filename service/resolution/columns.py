"""Which columns a job learns from and what it learns: target, features, task, checked by a data set's record alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from service.datasets import Column, Dataset, Task, task_of
from service.resolution.refusal import SHOWN, refuse
from service.spec import DataSpec

_LARGEST: Final = {"float32": 3.4e38, "float64": 1.7e308}
_LARGEST_SQUARED = 1e150  # what may be squared and added up in float64


def _usable(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.columns if column.type != "ignore"]


def _column(dataset: Dataset, name: str, pointer: str) -> Column:
    column = dataset.column(name)
    if column is None:
        refuse(pointer, name, f"data set {dataset.name!r} has no column {name!r}", _usable(dataset))
    if column.type == "ignore":
        refuse(pointer, name, f"column {name!r} was uploaded to be ignored", _usable(dataset))
    return column


def choose_target(data: DataSpec, dataset: Dataset) -> Column:
    """The column that is learned, which has a value in every row.

    Raises: InvalidSpec.
    """
    target = _column(dataset, dataset.target if data.target is None else data.target, "/data/target")
    if target.missing:
        detail = f"column {target.name!r} has no value in {target.missing} row(s)"
        refuse("/data/target", target.name, detail, "a column that has a value in every row")
    return target


def choose_features(data: DataSpec, dataset: Dataset, target: Column) -> list[Column]:
    """The columns that are learned from, in the order of the spec or else the data's.

    Raises: InvalidSpec.
    """
    names = data.features
    if names is None:
        names = tuple(name for name in _usable(dataset) if name != target.name)
    _check_names(names, target)
    known = {column.name: column for column in dataset.columns}
    features = [
        known[name]
        if name in known and known[name].type != "ignore"
        else _column(dataset, name, f"/data/features/{place}")
        for place, name in enumerate(names)
    ]
    lacking = [column.name for column in features if column.missing]
    if lacking:
        detail = f"values are missing in {_named(lacking)}, and data.missing is 'refuse'"
        refuse("/data/features", lacking[:SHOWN], detail, "columns that have a value in every row")
    return features


def _check_names(names: tuple[str, ...], target: Column) -> None:
    if not names:
        refuse("/data/features", [], "there is no column to learn from", "one column at least that is not the target")
    if target.name in names:
        place = names.index(target.name)
        refuse(
            f"/data/features/{place}", target.name, f"{target.name!r} is the target", "columns that are not the target"
        )
    if len(set(names)) < len(names):
        place = next(place for place, name in enumerate(names) if name in names[:place])
        refuse(f"/data/features/{place}", names[place], f"{names[place]!r} stands there twice", "each column once")


def choose_task(data: DataSpec, target: Column) -> Task:
    """The task that is asked for, or that the target suggests.

    Raises: InvalidSpec.
    """
    task = task_of(target) if data.task == "auto" else data.task
    if task == "regression":
        if target.type != "numeric":
            refuse(
                "/data/task", data.task, f"target {target.name!r} is {target.type}", ["auto", "binary", "multiclass"]
            )
        return task
    if target.levels is None:
        detail = f"target {target.name!r} has {target.distinct} distinct values, too many to be taken for classes"
        refuse("/data/task", data.task, detail, ["regression", "or the data set with this column as categorical"])
    if target.distinct < 2:
        detail = f"target {target.name!r} has one class alone, {target.levels[0]!r}"
        refuse("/data/target", target.name, detail, "a target with two classes or more")
    if task == "binary" and target.distinct != 2:
        refuse("/data/task", task, f"target {target.name!r} has {target.distinct} classes", ["auto", "multiclass"])
    return task


def check_magnitudes(data: DataSpec, precision: str, features: Iterable[Column], target: Column, task: Task) -> None:
    """Numbers that would be infinite once scaled or cast; they make no sense, but they can be uploaded."""
    scaled: list[tuple[Column, str, str]] = [
        (feature, data.scale, "/data/features") for feature in features if not feature.categorical
    ]
    if task == "regression":
        scaled.append((target, data.scale_target, "/data/target"))
    for column, scale, pointer in scaled:
        largest = _LARGEST[precision] if scale == "none" else _LARGEST_SQUARED
        found = max(abs(column.minimum or 0.0), abs(column.maximum or 0.0))
        if found > largest:
            detail = f"column {column.name!r} holds {found:g}, too large for {precision} and scale {scale!r}"
            refuse(pointer, column.name, detail, f"numbers up to {largest:g}")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more
