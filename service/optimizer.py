"""The making of the optimizer that a spec describes."""

from __future__ import annotations

from service.spec import OptimizerSpec
from service.spec.optimizer import own_fields
from workers.mlp.optimizers import EVERY_OPTIMIZER, Optimizer, Regularization


def build_optimizer(given: OptimizerSpec) -> Optimizer:
    """The optimizer of a resolved spec."""
    own = {name: getattr(given, name) for name in own_fields(given.name)}
    limits = Regularization(given.l1, given.l2, given.clip_value, given.clip_norm, given.max_norm)
    return EVERY_OPTIMIZER[given.name](given.learning_rate or 0.0, regularization=limits, **own)
