"""What each row of a part weighs: its sample weight, in training times the weight of its class."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.errors import UnusableData
from service.fitting import class_weights
from service.preparation_plan import Plan
from service.raw_columns import answers, numbers
from service.transform import Transform


def train_weights(
    plan: Plan, table: pa.Table, transform: Transform, rows: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Sample weight × class weight; None where there is neither.

    Shapes: rows and the answer (rows of the part,).
    Raises: UnusableData when all are 0.
    """
    given = plan.spec.data.class_weight
    samples = _sample_weights(plan, table, rows)
    if given is None:
        return None if samples is None else _not_all_0(samples, "training", transform)
    classes = answers(table, transform.target)[0][rows]
    weights = class_weights(given, transform.classes, classes)[classes]
    return _not_all_0(weights if samples is None else samples * weights, "training", transform)


def validation_weights(
    plan: Plan, table: pa.Table, transform: Transform, rows: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Sample weights alone; None where there are none.

    Shapes: rows and the answer (rows of the part,).
    Raises: UnusableData when all are 0.
    """
    samples = _sample_weights(plan, table, rows)
    return samples if samples is None or not len(rows) else _not_all_0(samples, "validation", transform)


def _sample_weights(plan: Plan, table: pa.Table, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    name = plan.spec.data.sample_weight
    return None if name is None else numbers(table, name)[rows]


def _not_all_0(weights: NDArray[np.float64], part: str, transform: Transform) -> NDArray[np.float64]:
    if not weights.astype(transform.precision).any():
        hint = "Take another data.split_seed or data.validation_fraction, or give some of these rows a weight."
        raise UnusableData(f"Every one of the {len(weights)} row(s) of the {part} part weighs 0.", hint=hint)
    return weights
