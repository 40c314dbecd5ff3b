"""Which rows of a plan's data set train and which validate, by what stands in its columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.partition import Partition, fold_parts, part_rows, partition
from service.preparation_plan import Plan
from service.raw_columns import level_numbers
from service.time_order import ranks


def split(plan: Plan, table: pa.Table) -> Partition:
    """Cut the rows as the spec says: by a fold, by the order of a column, or by drawing; else all of them train."""
    data, rows = plan.spec.data, plan.dataset.rows
    classes = _classes(plan, table) if data.stratify else None
    if plan.fold is not None:
        assert data.folds is not None
        return fold_parts(rows, data.folds, data.split_seed, classes)[plan.fold]
    train_rows, validation_rows = part_rows(rows, data, plan.targets[0].distinct)
    if data.order_by is not None:
        order = _order(plan, table, data.order_by)
        return Partition(order[:train_rows], order[train_rows:])
    return partition(rows, validation_rows, data.split_seed, classes)


def _classes(plan: Plan, table: pa.Table) -> NDArray[np.int64]:
    target = plan.targets[0]
    return level_numbers(table, target.name, target.kind, target.levels or ())


def _order(plan: Plan, table: pa.Table, name: str) -> NDArray[np.int64]:
    """Row numbers in the order of a column; what is equal keeps its order."""
    column = plan.dataset.column(name)
    assert column is not None
    if column.kind != "text":  # as stored: float64 would make one of two whole numbers beyond 2^53
        return np.argsort(table.column(name).to_numpy(), kind="stable")
    levels = column.levels or ()
    return np.argsort(ranks(levels)[level_numbers(table, name, "text", levels)], kind="stable")
