"""How the rows are split and scaled, as a spec says or its data suggest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from service.datasets import Column, Dataset, Task
from service.resolution.refusal import refuse
from service.spec import DataSpec

SMALL_ROWS: Final = 20  # below, all rows train by default
VALIDATION_FRACTION: Final = 0.2


def resolve_data(data: DataSpec, dataset: Dataset, features: Iterable[Column], target: Column, task: Task) -> DataSpec:
    """The data spec with its defaults resolved.

    Raises: InvalidSpec.
    """
    fraction = data.validation_fraction
    if fraction is None:
        fraction = VALIDATION_FRACTION if dataset.rows >= SMALL_ROWS else 0.0
    if data.stratify and task == "regression":
        refuse("/data/stratify", True, "a regression has no classes to keep in proportion", [False])
    if data.scale_target == "standard" and task != "regression":
        refuse("/data/scale_target", "standard", f"classes are not scaled (task {task!r})", ["auto", "none"])
    by_task = "standard" if task == "regression" else "none"
    return data.model_copy(
        update={
            "target": target.name,
            "features": tuple(feature.name for feature in features),
            "task": task,
            "scale_target": by_task if data.scale_target == "auto" else data.scale_target,
            "validation_fraction": fraction,
            "stratify": task != "regression" if data.stratify is None else data.stratify,
        }
    )
