"""Sweeps and their trials as results find them, in every state and with every value that a trial may have."""

from __future__ import annotations

import math
import random
from typing import Any

from service.spec import SweepSpec
from service.spec.sweep import Int, LogInt, LogUniform, Uniform
from service.sweeps.space import in_order, is_active, values_of
from service.sweeps.trial import Trial, TrialStatus

SPACE: dict[str, Any] = {
    "optimizer.learning_rate": {"log_uniform": [1e-3, 1e6]},
    "network.hidden": {"categorical": [[32], [64, 64], [{"units": 32, "activation": "tanh"}]]},
    "early_stopping": {"categorical": [None, {"metric": "validation_loss", "patience": 2}]},
    "batch_size": {"int": [16, 64], "step": 16},
    "optimizer.name": {"categorical": ["sgd", "adam"]},
    "optimizer.momentum": {"uniform": [0.0, 0.9], "when": {"optimizer.name": "sgd"}},
    "shuffle": {"categorical": [True, False]},
    "network.dropout": {"grid": [0, 0.5]},
    "seed": {"log_int": [1, 1000]},
}
RATE = {"optimizer.learning_rate": SPACE["optimizer.learning_rate"]}
TWO: list[dict[str, Any]] = [
    {"metric": "validation_accuracy", "direction": "maximize"},
    {"metric": "parameter_count", "direction": "minimize"},
]
STRANGE = (math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-300, 0.0, 0.5)


def sweep(**fields: Any) -> SweepSpec:
    return SweepSpec.model_validate({"base": {"dataset": "digits"}, "space": SPACE, "trials": 30, **fields})


def trial(number: int, *values: float, **fields: Any) -> Trial:
    """One that has succeeded with these values."""
    given = {"params": {"optimizer.learning_rate": 0.1 * (number + 1)}, "job_ids": (f"job-{number}",), **fields}
    return Trial(number, given.pop("status", TrialStatus.SUCCEEDED), values=values or None, **given)


def failed(number: int, **fields: Any) -> Trial:
    return trial(number, status=TrialStatus.FAILED, **fields)


def chance_trials(spec: SweepSpec, count: int, seed: int) -> list[Trial]:
    """So many of all kinds, by chance."""
    chance = random.Random(seed)
    return [_by_chance(spec, number, chance) for number in range(count)]


def _by_chance(spec: SweepSpec, number: int, chance: random.Random) -> Trial:
    params: dict[str, Any] = {}
    for path in in_order(spec.space):
        if is_active(spec.space[path], params):
            params[path] = _drawn(spec.space[path], chance)
    status = chance.choice([*TrialStatus, *[TrialStatus.SUCCEEDED] * 9])
    values = [chance.choice(STRANGE) if chance.random() < 0.2 else chance.random() for _ in spec.compared]
    epochs = range(1, chance.randint(1, 5))
    return Trial(
        number,
        status,
        params,
        (f"job-{number}",),
        tuple(values) if status is TrialStatus.SUCCEEDED else None,
        tuple(chance.choice([-1.0, 0.0, 2.0]) for _ in spec.constraints),
        {epoch: chance.choice([*STRANGE, None]) for epoch in epochs},
        pruned_at=len(epochs) if status is TrialStatus.PRUNED else None,
        created_at="2026-01-01T00:00:00.000Z",
        finished_at="2026-01-01T00:00:01.000Z" if status.ended else None,
    )


def _drawn(dimension: Any, chance: random.Random) -> Any:
    match dimension:
        case Uniform() | LogUniform():
            return chance.uniform(*getattr(dimension, dimension.kind))
        case LogInt():
            return chance.randint(*dimension.log_int)
        case Int():
            return chance.choice(list(values_of(dimension) or ()))
        case _:
            return chance.choice(list(values_of(dimension) or ()))
