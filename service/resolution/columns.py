"""Which columns a job learns from and what it learns: targets, features, task, checked by a data set's record alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from service.datasets import Column, Dataset, Task, task_of
from service.resolution.refusal import SHOWN, refuse
from service.spec import DataSpec
from service.strict_json import quoted

_LARGEST: Final = {"float32": 3.4e38, "float64": 1.7e308}
_LARGEST_SQUARED = 1e150  # what may be squared and added up in float64


def find_column(dataset: Dataset, name: str, pointer: str) -> Column:
    """The column that a field names.

    Raises: InvalidSpec.
    """
    column = dataset.column(name)
    if column is None:
        refuse(pointer, name, f"data set {dataset.name!r} has no column {name!r}", _usable(dataset))
    if column.type == "ignore":
        refuse(pointer, name, f"column {name!r} was uploaded to be ignored", _usable(dataset))
    return column


def _usable(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.columns if column.type != "ignore"]


def choose_targets(data: DataSpec, dataset: Dataset) -> tuple[Column, ...]:
    """The columns that are learned, in the order of the spec; each has a value in every row.

    Raises: InvalidSpec.
    """
    if isinstance(data.target, tuple):
        _check_once(data.target, "/data/target")
        return tuple(_target(dataset, name, f"/data/target/{place}") for place, name in enumerate(data.target))
    return (_target(dataset, dataset.target if data.target is None else data.target, "/data/target"),)


def _target(dataset: Dataset, name: str, pointer: str) -> Column:
    target = find_column(dataset, name, pointer)
    if target.missing:
        detail = f"column {target.name!r} has no value in {target.missing} row(s)"
        refuse(pointer, target.name, detail, "a column that has a value in every row")
    return target


def choose_features(data: DataSpec, dataset: Dataset, targets: Sequence[Column]) -> list[Column]:
    """The columns that are learned from, in the order of the spec or else the data's.

    Raises: InvalidSpec.
    """
    taken = {target.name: "the target" for target in targets}
    if data.sample_weight is not None:
        taken[data.sample_weight] = "the sample weight"
    names = data.features
    if names is None:
        names = tuple(name for name in _usable(dataset) if name not in taken)
    _check_names(names, taken)
    known = {column.name: column for column in dataset.columns}
    features = [
        known[name]
        if name in known and known[name].type != "ignore"
        else find_column(dataset, name, f"/data/features/{place}")
        for place, name in enumerate(names)
    ]
    check_missing(features, data, "/data/features")
    return features


def _check_names(names: tuple[str, ...], taken: dict[str, str]) -> None:
    if not names:
        refuse("/data/features", [], "there is no column to learn from", "one column at least that is not the target")
    for place, name in enumerate(names):
        if name in taken:
            refuse(f"/data/features/{place}", name, f"{name!r} is {taken[name]}", f"columns that are not {taken[name]}")
    _check_once(names, "/data/features")


def _check_once(names: tuple[str, ...], pointer: str) -> None:
    if len(set(names)) < len(names):
        place = next(place for place, name in enumerate(names) if name in names[:place])
        refuse(f"{pointer}/{place}", names[place], f"{names[place]!r} stands there twice", "each column once")


def check_missing(features: Sequence[Column], data: DataSpec, pointer: str) -> None:
    """Hold missing values against the policy: they are refused, or there is something to fill them with.

    Raises: InvalidSpec.
    """
    if data.missing == "refuse":
        lacking = [column.name for column in features if column.missing]
        if lacking:
            detail = f"values are missing in {_named(lacking)}, and data.missing is 'refuse'"
            allowed = "columns that have a value in every row, or data.missing mean, median or indicator"
            refuse(pointer, lacking[:SHOWN], detail, allowed)
        return
    empty = [column.name for column in features if not column.distinct]
    if empty:
        detail = f"there is no value in any row of {_named(empty)}, and so nothing to fill with"
        refuse(pointer, empty[:SHOWN], detail, "columns that have a value")


def choose_task(data: DataSpec, targets: Sequence[Column]) -> Task:
    """The task that is asked for, or that the targets suggest.

    Raises: InvalidSpec.
    """
    if len(targets) > 1:
        return _choose_task_of_many(data, targets)
    (target,) = targets
    task = task_of(target) if data.task == "auto" else data.task
    if task == "multilabel":
        refuse("/data/task", task, "it takes several targets, and there is one", ["auto", "binary", "multiclass"])
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
        detail = f"target {target.name!r} has one class alone, {quoted(target.levels[0])}"
        refuse("/data/target", target.name, detail, "a target with two classes or more")
    if task == "binary" and target.distinct != 2:
        refuse("/data/task", task, f"target {target.name!r} has {target.distinct} classes", ["auto", "multiclass"])
    return task


def _choose_task_of_many(data: DataSpec, targets: Sequence[Column]) -> Task:
    """Columns of two values each are labels; columns of numbers are values."""
    if data.task == "auto":
        if all(target.holds_classes and target.distinct == 2 for target in targets):
            return "multilabel"
        if all(target.type == "numeric" for target in targets):
            return "regression"
        detail = "these are neither columns of two values each (multilabel) nor all of numbers (regression)"
        refuse("/data/target", [target.name for target in targets[:SHOWN]], detail, "columns of one of these two kinds")
    if data.task not in ("regression", "multilabel"):
        refuse("/data/task", data.task, "it takes one target alone", ["auto", "regression", "multilabel"])
    for place, target in enumerate(targets):
        pointer = f"/data/target/{place}"
        if data.task == "regression" and target.type != "numeric":
            refuse(pointer, target.name, f"column {target.name!r} is {target.type}", "columns of numbers")
        if data.task == "multilabel" and target.distinct != 2:
            detail = f"column {target.name!r} has {target.distinct} different value(s)"
            refuse(pointer, target.name, detail, "columns of two values each")
    return data.task


def check_magnitudes(
    data: DataSpec,
    precision: str,
    features: Iterable[Column],
    targets: Iterable[Column],
    task: Task,
    instead: str | None = None,
) -> None:
    """Numbers that would be infinite once scaled or cast; they make no sense, but they can be uploaded.

    `instead` is the field that names the data set, where the columns are not those of `dataset`.
    Raises: InvalidSpec.
    """
    scaled: list[tuple[Column, str, str]] = [
        (feature, data.scale, "/data/features") for feature in features if not feature.categorical
    ]
    if task == "regression":
        scaled += [(target, data.scale_target, "/data/target") for target in targets]
    for column, scale, pointer in scaled:
        largest = _LARGEST[precision] if scale == "none" else _LARGEST_SQUARED
        found = max(abs(column.minimum or 0.0), abs(column.maximum or 0.0))
        if found > largest:
            detail = f"column {column.name!r} holds {found:g}, too large for {precision} and scale {scale!r}"
            refuse(instead or pointer, column.name, detail, f"numbers up to {largest:g}")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more
