"""The gradient check of a job: on a few rows of its training part, before its first step. Knows no lease and no queue.

It looks at the first weights alone, so that each attempt at the job finds the same.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from service.errors import WrongGradient
from service.preparation import PreparedData
from workers.mlp.gradient_check import LIMIT, check_gradient
from workers.mlp.parameters import Parameters
from workers.mlp.random import Purpose, philox

ROWS = 8


def verify_gradient(parameters: Parameters, prepared: PreparedData, seed: int) -> dict[str, Any]:
    """What the job's result says of it: `worst_relative_error`, the `parameter` that has it, how many were `checked`.

    Raises: WrongGradient naming the array.
    """
    data = prepared.open()
    count = len(data.x_train)
    rows = np.sort(philox(seed, Purpose.GRADIENT_CHECK, step=2).choice(count, min(ROWS, count), replace=False))
    weights = None if data.w_train is None else data.w_train[rows]
    found = check_gradient(parameters, data.x_train[rows], data.y_train[rows], weights, seed)
    if not found.passed:
        raise WrongGradient(
            f"The gradient of {found.parameter} is wrong: its relative error is {found.worst_relative_error:.2g}; "
            f"allowed: {LIMIT:g}.",
            hint="This is a fault in deltaq; report it with the job's spec, or leave gradient_check out.",
        )
    return asdict(found)


def said(found: dict[str, Any]) -> str:
    """A gradient check for the job's log."""
    if found["parameter"] is None:
        return "Gradient check: nothing can be said, the loss of the first weights is not finite."
    worst = f"worst relative error {found['worst_relative_error']:.2g} at {found['parameter']}"
    return f"Gradient check: {worst}, {found['checked']} parameters checked."
