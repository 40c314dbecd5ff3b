"""What the rows weigh: a column of sample weights, and a weight for each class."""

from __future__ import annotations

from collections.abc import Sequence

from service.datasets import Column, Dataset, Task, label_text
from service.resolution.columns import find_column
from service.resolution.refusal import refuse
from service.spec import DataSpec

_LARGEST = 3.4e38  # of float32


def check_weights(data: DataSpec, dataset: Dataset, targets: Sequence[Column], task: Task) -> None:
    """Hold both kinds of weights against the data.

    Raises: InvalidSpec.
    """
    if data.sample_weight is not None:
        column = find_column(dataset, data.sample_weight, "/data/sample_weight")
        if column.name in [target.name for target in targets]:
            detail = f"{column.name!r} is the target"
            refuse("/data/sample_weight", column.name, detail, "a column that is not the target")
        check_sample_weight(column, "/data/sample_weight", column.name)
    if data.class_weight is not None:
        _check_class_weight(data, targets, task)


def check_sample_weight(column: Column, pointer: str, value: str) -> None:
    """Sample weights are numbers from 0, in every row, and not all 0.

    Raises: InvalidSpec.
    """
    what = None
    if column.type != "numeric":
        what = f"is {column.type}"
    elif column.missing:
        what = f"has no value in {column.missing} row(s)"
    elif column.minimum is None or column.minimum < 0:
        what = f"holds {column.minimum:g}" if column.minimum is not None else "has no value"
    elif not column.maximum:
        what = "is 0 in every row"
    elif column.maximum > _LARGEST:
        what = f"holds {column.maximum:g}"
    if what is not None:
        allowed = f"a column of numbers from 0 to {_LARGEST:g} in every row, not all of them 0"
        refuse(pointer, value, f"column {column.name!r} {what}", allowed)


def _check_class_weight(data: DataSpec, targets: Sequence[Column], task: Task) -> None:
    given, pointer = data.class_weight, "/data/class_weight"
    if task not in ("binary", "multiclass"):
        shown = given if isinstance(given, str) else dict(given or {})
        refuse(pointer, shown, f"a {task} has no classes to weigh", [None])
    if isinstance(given, str) or given is None:
        return
    classes = [label_text(label) for label in targets[0].levels or ()]
    for name, weight in given.items():
        if name not in classes:
            escaped = name.replace("~", "~0").replace("/", "~1")
            refuse(f"{pointer}/{escaped}", weight, f"target {targets[0].name!r} has no class {name!r}", classes)
    if all(given.get(name) == 0 for name in classes):
        refuse(pointer, dict(given), "every class weighs 0", "a weight above 0 for one class at least")
