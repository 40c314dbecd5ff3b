"""The optimizer that a spec describes: which fields it has, and the making of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from service.spec import OptimizerSpec
from workers.mlp.optimizers import EVERY_OPTIMIZER, Optimizer, Regularization


def own_fields(name: str) -> dict[str, Any]:
    """The fields that an optimizer has beside those of all, with their defaults."""
    general = {field.name for field in fields(Optimizer)}
    return {field.name: field.default for field in fields(EVERY_OPTIMIZER[name]) if field.name not in general}


def build_optimizer(given: OptimizerSpec) -> Optimizer:
    """The optimizer of a resolved spec."""
    own = {name: getattr(given, name) for name in own_fields(given.name)}
    limits = Regularization(given.l1, given.l2, given.clip_value, given.clip_norm, given.max_norm)
    return EVERY_OPTIMIZER[given.name](given.learning_rate or 0.0, regularization=limits, **own)
