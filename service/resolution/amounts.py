"""What a loss that takes no negative numbers, or none of 0 either, asks of the target, and how the target is scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.datasets import Column, Task
from service.resolution.refusal import refuse
from service.spec import DataSpec, JobSpec
from workers.mlp.choices import Choice, name_of
from workers.mlp.intervals import REALS
from workers.mlp.losses import LOSSES

LARGE: Final = 10.0  # of a target as it is: the step that suits it is smaller than the usual one


def scale_of_target(data: DataSpec, loss: Choice, task: Task) -> str:
    """How the target is scaled: values to mean 0 and standard deviation 1, if the loss takes negative numbers.

    Raises: InvalidSpec.
    """
    given, name, allowed = data.scale_target, name_of(loss), target_scales(loss, task)
    if given == "auto":
        return "standard" if "standard" in allowed else "none"
    if given not in allowed:
        why = f"classes are not scaled (task {task!r})"
        if task == "regression":
            why = f"loss {name!r} takes targets in {LOSSES[name].targets}: they "
            why += (
                "keep their signs"
                if LOSSES[name].targets != REALS
                else "are told apart by their spread, and their mean may be 0"
            )
        refuse("/data/scale_target", given, why, ["auto", *allowed])
    return given


def target_scales(loss: Choice, task: Task) -> list[str]:
    """How a target that the loss takes may be scaled."""
    if LOSSES[name_of(loss)].targets != REALS:
        return ["none", "mean"]
    return ["none", "standard"] if task == "regression" else ["none"]


def check_amounts(loss: Choice, targets: Sequence[Column], pointer: str = "/data/target") -> None:
    """Hold the values of the target's columns against what the loss takes.

    Raises: InvalidSpec.
    """
    allowed = LOSSES[name_of(loss)].targets
    for column in targets:
        if column.minimum is not None and allowed != REALS and column.minimum not in allowed:
            detail = f"column {column.name!r} holds {column.minimum:g}, and loss {name_of(loss)!r} takes {allowed}"
            refuse(pointer, column.name, detail, f"a target whose values are all in {allowed}, or another loss")


def amounts_warning(spec: JobSpec, targets: Sequence[Column]) -> str | None:
    """A warning where large amounts are learned as they are, by steps of a given length; `spec` is resolved."""
    if LOSSES[name_of(spec.loss)].targets == REALS or spec.data.scale_target != "none":
        return None
    if spec.optimizer.name == "lbfgs":  # it looks for the length of each step
        return None
    large = [column for column in targets if (column.maximum or 0.0) > LARGE]
    if not large:
        return None
    holds = f"target {large[0].name!r} holds numbers up to {large[0].maximum:g}"
    return (
        f"{holds}, and loss {name_of(spec.loss)!r} learns them as they are, by small steps alone"
        " (optimizer.learning_rate); data.scale_target 'mean' divides them by their mean"
    )
