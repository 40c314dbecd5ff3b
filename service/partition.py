"""Which rows train and which validate: how many, by the record alone, and which, by `split_seed`. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.spec import DataSpec
from workers.mlp.random import Purpose, philox


@dataclass(frozen=True)
class Partition:
    """Row numbers of the two parts, in the order in which the rows stand there."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


def part_rows(rows: int, data: DataSpec, classes: int) -> tuple[int, int]:
    """How many rows of a data set train and how many validate, for a resolved data spec.

    A fraction above 0 gives one validation row at least; one row stays in training, with strata one of every class.
    """
    if not data.validation_fraction:
        return rows, 0
    kept = classes if data.stratify else 1
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


def fold_parts(rows: int, folds: int, split_seed: int, classes: NDArray[np.int64] | None) -> list[Partition]:
    """Cut the rows into folds: each row validates in exactly one of them and trains in all others.

    Rows are shuffled by `split_seed` alone and dealt out one by one, with strata class after class: folds differ by one
    row at most, and by one at most in each class.
    Shapes: classes (rows,), the number of each row's class; None: no strata.
    """
    order = philox(split_seed, Purpose.SPLIT).permutation(rows)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    fold_of = np.empty(rows, dtype=np.int64)
    fold_of[order] = np.arange(rows) % folds
    return [Partition(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(folds)]


def fold_rows(rows: int, folds: int, fold: int) -> tuple[int, int]:
    """How many rows train and how many validate where `fold`, from 0, is the part that validates."""
    validation = len(range(fold, rows, folds))
    return rows - validation, validation


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
