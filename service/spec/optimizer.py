"""How the weights follow the gradient: the optimizer, its schedule, penalties and limits."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from service.spec.base import Spec
from service.spec.choices import one_of
from workers.mlp.choices import Choice
from workers.mlp.optimizers import EVERY_OPTIMIZER, Optimizer
from workers.mlp.schedules import SCHEDULES

Share = Annotated[float, Field(ge=0, lt=1)]
Small = Annotated[float, Field(ge=1e-30, le=1)]
Decay = Annotated[float, Field(ge=0, le=1e6)]
Limit = Annotated[float, Field(gt=0, le=1e9)]


SHARED: Final = ("name", "learning_rate", "schedule", "l1", "l2", "clip_value", "clip_norm", "max_norm")


def own_fields(name: str) -> dict[str, Any]:
    """The fields that an optimizer has beside those of all, with their defaults."""
    general = {field.name for field in fields(Optimizer)}
    return {field.name: field.default for field in fields(EVERY_OPTIMIZER[name]) if field.name not in general}


class OptimizerSpec(Spec):
    """The optimizer; a field that is None is its own default, and one that it has not is refused.

    Names, defaults and meanings are those of `workers.mlp.optimizers`.
    """

    model_config = ConfigDict(
        json_schema_extra={"x-fields-by-name": {name: [*SHARED, *own_fields(name)] for name in EVERY_OPTIMIZER}}
    )

    name: Literal["sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam", "adadelta", "lion", "rprop", "lbfgs"] = "sgd"
    learning_rate: Annotated[float, Field(ge=0, le=1e9)] | None = None  # None: sgd 0.1, for regression 0.03

    momentum: Share | None = None
    nesterov: bool | None = None
    weight_decay: Decay | None = None
    beta1: Share | None = None
    beta2: Share | None = None
    epsilon: Small | None = None
    amsgrad: bool | None = None
    momentum_decay: Decay | None = None
    alpha: Share | None = None
    centered: bool | None = None
    rho: Share | None = None
    rate_decay: Decay | None = None
    eta_minus: Annotated[float, Field(gt=0, lt=1)] | None = None
    eta_plus: Annotated[float, Field(gt=1, le=100)] | None = None
    step_least: Limit | None = None
    step_most: Limit | None = None
    history: Annotated[int, Field(ge=1, le=100)] | None = None
    max_evaluations: Annotated[int, Field(ge=1, le=1000)] | None = None
    gradient_tolerance: Annotated[float, Field(ge=0, le=1)] | None = None
    change_tolerance: Annotated[float, Field(ge=0, le=1)] | None = None

    schedule: Annotated[Choice, one_of("Schedule", SCHEDULES)] = "constant"
    l1: Decay = 0.0
    l2: Decay = 0.0
    clip_value: Limit | None = None
    clip_norm: Limit | None = None
    max_norm: Limit | None = None
