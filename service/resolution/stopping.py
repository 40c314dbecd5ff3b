"""Whether what stops a training early can be watched."""

from __future__ import annotations

from service.datasets import Task
from service.resolution.refusal import refuse
from service.spec import JobSpec


def check_stopping(spec: JobSpec, task: Task, validation_rows: int) -> None:
    """Hold what is watched against what there is to watch.

    Raises: InvalidSpec.
    """
    if spec.early_stopping is None:
        return
    metric = spec.early_stopping.metric
    allowed = [
        f"{part}_{figure}"
        for part in (("validation", "train") if validation_rows else ("train",))
        for figure in (("loss",) if task == "regression" else ("loss", "accuracy"))
    ]
    if metric not in allowed:
        no_part = metric.startswith("validation") and not validation_rows
        detail = f"{metric!r} needs " + ("a validation part, and no row is in it" if no_part else "classes")
        refuse("/early_stopping/metric", metric, detail, allowed)
