"""What of a training can be watched, and whether what stops it early is of that."""

from __future__ import annotations

from service.datasets import Task
from service.metrics import metric_names
from service.resolution.refusal import refuse
from service.spec import JobSpec
from workers.mlp.choices import Choice, name_of
from workers.mlp.losses import LOSSES


def watchable(task: Task, loss: Choice, *, validated: bool) -> list[str]:
    """The metrics that each epoch's row has, the validation part's first."""
    names = metric_names(task, probabilities=LOSSES[name_of(loss)].probabilities)
    validation = [f"validation_{name}" for name in ("loss", *names)] if validated else []
    return [*validation, "train_loss", *(["train_accuracy"] if task in ("binary", "multiclass") else [])]


def check_stopping(spec: JobSpec, task: Task, loss: Choice, *, validated: bool) -> None:
    """Hold what is watched against what there is to watch.

    Raises: InvalidSpec.
    """
    if spec.early_stopping is None:
        return
    metric, allowed = spec.early_stopping.metric, watchable(task, loss, validated=validated)
    if metric in allowed:
        return
    if metric in watchable(task, loss, validated=True):
        why = "needs a validation part, and no row is in it"
    elif task == "multilabel" and metric == "train_accuracy":
        why = "of several labels is not known before the end"
    else:
        why = f"is no metric of task {task!r} with loss {name_of(loss)!r}"
    refuse("/early_stopping/metric", metric, f"{metric!r} {why}", allowed)
