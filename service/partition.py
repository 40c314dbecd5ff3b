"""Which rows train and which validate: how many, by the record alone, and which, by `split_seed`. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.datasets import Column
from service.spec import DataSpec
from workers.mlp.random import Purpose, philox


@dataclass(frozen=True)
class Partition:
    """Row numbers of the two parts, each ascending; together they are all rows."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


def part_rows(rows: int, data: DataSpec, target: Column) -> tuple[int, int]:
    """How many rows train and how many validate, for a resolved data spec.

    A fraction above 0 gives one validation row at least; one row stays in training, with strata one of every class.
    """
    if not data.validation_fraction:
        return rows, 0
    kept = target.distinct if data.stratify else 1
    validation = max(min(max(int(data.validation_fraction * rows + 0.5), 1), rows - kept), 0)
    return rows - validation, validation


def partition(rows: int, validation_rows: int, seed: int, classes: NDArray[np.int64] | None) -> Partition:
    """Draw the validation part: evenly from all rows, or with strata from each class in proportion.

    Shapes: classes (rows,), the number of each row's class; None: no strata.
    """
    order = philox(seed, Purpose.SPLIT).permutation(rows)
    if classes is None:
        chosen = order[:validation_rows]
    else:
        grouped = order[np.argsort(classes[order], kind="stable")]
        counts = np.bincount(classes)
        starts = np.cumsum(counts) - counts
        taken = allot(validation_rows, counts)
        chosen = np.concatenate([grouped[start : start + count] for start, count in zip(starts, taken, strict=True)])
    validates = np.zeros(rows, dtype=bool)
    validates[chosen] = True
    return Partition(np.flatnonzero(~validates), np.flatnonzero(validates))


def allot(total: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Share `total` rows among classes by the method of the largest remainder, leaving each class one row.

    Whole numbers throughout; of equal remainders the first class goes first.
    Shapes: counts and the answer (classes,).
    """
    room = np.maximum(counts - 1, 0)
    exact = total * counts
    taken: NDArray[np.int64] = np.minimum(exact // counts.sum(), room)
    by_remainder = np.argsort(-(exact % counts.sum()), kind="stable")
    while (left := total - int(taken.sum())) > 0:
        open_classes = by_remainder[taken[by_remainder] < room[by_remainder]]
        taken[open_classes[:left]] += 1
    return taken
