"""The optimizer's own constants, and what its fields need of each other."""

from __future__ import annotations

from service.datasets import Task
from service.resolution.refusal import refuse
from service.spec import JobSpec, OptimizerSpec


def resolve_optimizer(spec: JobSpec, task: Task) -> OptimizerSpec:
    """The optimizer with its rate.

    Raises: InvalidSpec.
    """
    given = spec.optimizer
    if given.nesterov and not given.momentum:
        refuse(
            "/optimizer/nesterov",
            True,
            "Nesterov's step needs momentum, and momentum is 0",
            [False, "momentum above 0"],
        )
    rate = given.learning_rate
    return given.model_copy(update={"learning_rate": (0.03 if task == "regression" else 0.1) if rate is None else rate})
