"""How the rows are split, ordered and scaled, as a spec says or its data suggest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from service.datasets import Column, Dataset, Task
from service.resolution.amounts import check_amounts, scale_of_target
from service.resolution.columns import find_column
from service.resolution.refusal import refuse
from service.spec import DataSpec
from service.time_order import not_a_date
from workers.mlp.choices import Choice

SMALL_ROWS: Final = 20  # below, all rows train by default
VALIDATION_FRACTION: Final = 0.2


def resolve_data(
    data: DataSpec,
    dataset: Dataset,
    features: Iterable[Column],
    targets: Sequence[Column],
    task: Task,
    loss: Choice,
    validation: Dataset | None = None,
) -> DataSpec:
    """The data spec with its defaults resolved; `validation` is the data set that it names to validate on.

    Raises: InvalidSpec.
    """
    _check_split(data, dataset)
    _check_order(data, dataset)
    _check_stratify(data, task)
    check_amounts(loss, targets)
    fraction = _fraction(data, dataset)
    drawn = fraction > 0 or data.folds is not None
    stratify = drawn and _strata_possible(data, task) if data.stratify is None else data.stratify
    if stratify:
        _check_folds_of_classes(data, targets[0])
    return data.model_copy(
        update={
            "target": tuple(target.name for target in targets) if len(targets) > 1 else targets[0].name,
            "features": tuple(feature.name for feature in features),
            "task": task,
            "scale_target": scale_of_target(data, loss, task),
            "validation_fraction": fraction,
            "validation_dataset": None if validation is None else validation.id,
            "stratify": stratify,
        }
    )


def _fraction(data: DataSpec, dataset: Dataset) -> float:
    if data.validation_dataset is not None or data.folds is not None:
        return 0.0
    if data.validation_fraction is not None:
        return data.validation_fraction
    return VALIDATION_FRACTION if dataset.rows >= SMALL_ROWS else 0.0


def _check_split(data: DataSpec, dataset: Dataset) -> None:
    """There is one way of validating: a fraction of the rows, another data set, or each row in one of the folds."""
    other = "data.validation_dataset" if data.validation_dataset is not None else "data.folds"
    if data.validation_dataset is not None and data.folds is not None:
        refuse("/data/folds", data.folds, "data.validation_dataset validates already", [None])
    if data.validation_dataset is None and data.folds is None:
        return
    if data.validation_fraction:
        refuse("/data/validation_fraction", data.validation_fraction, f"{other} validates in its place", [0])
    if data.order_by is not None:
        detail = f"it says which fraction of the rows validates, and {other} validates in its place"
        refuse("/data/order_by", data.order_by, detail, [None])
    if data.folds is not None and data.folds > dataset.rows:
        refuse("/data/folds", data.folds, f"the data set has {dataset.rows} row(s)", f"2 to {dataset.rows}")


def _check_folds_of_classes(data: DataSpec, target: Column) -> None:
    """With strata each fold has rows of each class."""
    if data.folds is not None and 0 < target.rarest < data.folds:
        detail = f"a class of target {target.name!r} has {target.rarest} row(s), and each fold takes one at least"
        few = f"2 to {target.rarest}, or " if target.rarest >= 2 else ""
        refuse("/data/folds", data.folds, detail, f"{few}data.stratify false")


def _check_order(data: DataSpec, dataset: Dataset) -> None:
    if data.order_by is None:
        return
    pointer, allowed = "/data/order_by", "a column of numbers, or of dates as 2026-01-31 or 2026-01-31T23:59:59"
    column = find_column(dataset, data.order_by, pointer)
    if column.missing:
        refuse(pointer, column.name, f"column {column.name!r} has no value in {column.missing} row(s)", allowed)
    if column.kind == "boolean":
        refuse(pointer, column.name, f"column {column.name!r} holds true and false", allowed)
    other = not_a_date(column.levels or ()) if column.kind == "text" else None
    if other is not None:
        refuse(pointer, column.name, f"column {column.name!r} holds {other[:40]!r}, which is no date", allowed)


def _check_stratify(data: DataSpec, task: Task) -> None:
    if not data.stratify:
        return
    why = None
    if task not in ("binary", "multiclass"):
        why = f"a {task} has no classes to keep in proportion"
    elif data.order_by is not None:
        why = "data.order_by says which rows validate"
    elif data.validation_dataset is not None:
        why = "data.validation_dataset validates, and all rows train"
    if why is not None:
        refuse("/data/stratify", True, why, [False])


def _strata_possible(data: DataSpec, task: Task) -> bool:
    return task in ("binary", "multiclass") and data.order_by is None and data.validation_dataset is None


def split_warnings(data: DataSpec, dataset: Dataset, features: Iterable[Column]) -> list[str]:
    """What is said of a resolved split that does less than it seems to."""
    found = []
    given: Any = data.validation_dataset or data.order_by
    if data.split_seed and given is not None:
        by = "data.validation_dataset" if data.validation_dataset is not None else "data.order_by"
        found.append(f"data.split_seed has no effect: {by} says which rows validate")
    if not data.validation_fraction and data.folds is None and data.validation_dataset is None:
        asked = ("stratify", "order_by") if given is not None else ("split_seed", "stratify")
        found += [f"data.{name} has no effect: no row validates" for name in asked if getattr(data, name)]
    if data.validation_dataset == dataset.id:
        found.append("data.validation_dataset is the data set that trains: every row validates and trains")
    ordering = next((each for each in features if each.name == data.order_by and each.categorical), None)
    if ordering is not None:
        found.append(
            f"column {ordering.name!r} orders the rows and is a feature too, each of its {ordering.distinct} values a"
            " level; data.features may leave it out"
        )
    return found


def parts_warning(data: DataSpec, train_rows: int, validation_rows: int) -> str | None:
    """A warning where no row validates that was to, or more rows validate than train; `data` is resolved."""
    if not data.validation_fraction:
        return None
    if not validation_rows:
        kept = "a row of each class, and there are no more rows" if data.stratify else "the only row"
        return f"data.validation_fraction has no effect: no row validates, since training keeps {kept}"
    if data.validation_fraction <= 0.5:
        return None
    return f"data.validation_fraction: {validation_rows} rows validate, and {train_rows} train"
