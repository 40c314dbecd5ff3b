"""What a loss that takes no negative numbers, or none of 0 either, asks of the target: the numbers as they are."""

from __future__ import annotations

from collections.abc import Sequence

from service.datasets import Column, Task
from service.resolution.refusal import refuse
from service.spec import DataSpec
from workers.mlp.choices import Choice, name_of
from workers.mlp.intervals import REALS
from workers.mlp.losses import LOSSES


def scale_of_target(data: DataSpec, loss: Choice, task: Task) -> str:
    """How the target is scaled: values to mean 0 and standard deviation 1, if the loss takes negative numbers.

    Raises: InvalidSpec.
    """
    given, name = data.scale_target, name_of(loss)
    amounts = LOSSES[name].targets != REALS
    why = f"classes are not scaled (task {task!r})" if task != "regression" else ""
    why = why or (f"loss {name!r} takes targets in {LOSSES[name].targets}, as they are" if amounts else "")
    if given == "standard" and why:
        refuse("/data/scale_target", "standard", why, ["auto", "none"])
    return given if given != "auto" else "none" if why else "standard"


def check_amounts(loss: Choice, targets: Sequence[Column], pointer: str = "/data/target") -> None:
    """Hold the values of the target's columns against what the loss takes.

    Raises: InvalidSpec.
    """
    allowed = LOSSES[name_of(loss)].targets
    for column in targets:
        if column.minimum is not None and allowed != REALS and column.minimum not in allowed:
            detail = f"column {column.name!r} holds {column.minimum:g}, and loss {name_of(loss)!r} takes {allowed}"
            refuse(pointer, column.name, detail, f"a target whose values are all in {allowed}, or another loss")
