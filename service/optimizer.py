"""The making of the optimizer that a spec describes, or the specs of a population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.spec import OptimizerSpec
from service.spec.optimizer import own_fields
from workers.mlp.optimizers import EVERY_OPTIMIZER, Optimizer, Regularization


def build_optimizer(given: OptimizerSpec) -> Optimizer:
    """The optimizer of a resolved spec."""
    return stack_optimizers([given])


def stack_optimizers(given: Sequence[OptimizerSpec]) -> Optimizer:
    """The optimizer of a population, by the resolved spec of each network: a number that differs is one for each.

    Raises: ValueError where they differ in anything but numbers, or in whether a number is 0 or there at all.
    """
    own = {name: _of_all(given, name) for name in own_fields(given[0].name)}
    limits = {name: _of_all(given, name) for name in ("l1", "l2", "clip_value", "clip_norm", "max_norm")}
    kind = EVERY_OPTIMIZER[_of_all(given, "name")]
    return kind(_rate(given), regularization=Regularization(**limits), **own)


def _rate(given: Sequence[OptimizerSpec]) -> Any:
    rates = [each.learning_rate or 0.0 for each in given]
    return rates[0] if len(rates) == 1 else np.array(rates)


def _of_all(given: Sequence[OptimizerSpec], name: str) -> Any:
    values = [getattr(each, name) for each in given]
    first = values[0]
    if all(value == first for value in values):
        return first
    if not isinstance(first, float) or len(set(map(bool, values))) > 1:
        raise ValueError(f"optimizer.{name}: {values}; allowed in one population: numbers, all of them 0 or none")
    return np.array(values)
