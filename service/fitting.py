"""What a transform learns from the training part: how a column is scaled and filled, what its rows weigh.

All of it in float64, as scikit-learn's imputer, scalers and class weights have it. Knows no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.datasets import Column, Label, Task, label_text
from service.features import Numeric, OneHot
from service.spec import DataSpec
from service.targets import Target, TargetColumn


def fit_numeric(column: Column, values: NDArray[np.float64], data: DataSpec) -> Numeric:
    """A column of numbers: filled first, where values may be missing, and then scaled.

    Shapes: values (rows,) of the training part, NaN where missing.
    """
    if data.missing == "refuse":
        return Numeric(column.name, *fit_scale(values, data.scale))
    present = values[~np.isnan(values)]
    fill = 0.0  # of a column that has no value in the training part
    if len(present):
        fill = float(np.median(present)) if data.missing == "median" else float(present.mean())
    shift, scale = fit_scale(np.where(np.isnan(values), fill, values), data.scale)
    return Numeric(column.name, shift, scale, fill, data.missing == "indicator" and column.missing > 0)


def fit_levels(column: Column, values: NDArray[np.int64], data: DataSpec) -> OneHot:
    """A column of levels: those of all rows; a missing one is the most frequent, the first of equals, or one more.

    Shapes: values (rows,) of the training part, numbers of levels or codes below 0.
    """
    levels = column.levels or ()
    if data.missing == "refuse":
        return OneHot(column.name, column.kind, levels)
    if data.missing == "indicator" and column.missing:
        return OneHot(column.name, column.kind, levels, fill=len(levels), indicator=True)
    counts = np.bincount(values[values >= 0], minlength=len(levels))
    return OneHot(column.name, column.kind, levels, fill=int(counts.argmax()))


def fit_scale(values: NDArray[np.float64], scale: str) -> tuple[float, float]:
    """Shift and scale of a column's training part; one value alone keeps scale 1, but where all are divided by it.

    Shapes: values (rows,).
    """
    if scale == "none":
        return 0.0, 1.0
    if scale == "mean":
        return 0.0, float(values.mean()) or 1.0
    low, high = float(values.min()), float(values.max())
    if low == high:  # its computed deviation need not be 0
        return low, 1.0
    shift, width = (float(values.mean()), float(values.std())) if scale == "standard" else (low, high - low)
    return shift, width or 1.0


def fit_target(
    columns: Sequence[Column], answers: Sequence[NDArray[np.float64]], task: Task, outputs: int, scale: str
) -> Target:
    """The columns that are learned; each one's values are scaled on their own.

    Shapes: answers (rows,) of the training part, for each column.
    """
    if task != "regression":
        return Target(task, outputs, tuple(TargetColumn(each.name, each.kind, each.levels or ()) for each in columns))
    fitted = []
    for column, values in zip(columns, answers, strict=True):
        shift, width = fit_scale(values, scale)
        fitted.append(TargetColumn(column.name, column.kind, shift=shift, scale=width))
    return Target(task, outputs, tuple(fitted))


def class_weights(
    given: str | Mapping[str, float], classes: Sequence[Label], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The weight of each class: as given by its label's text, else 1; or balanced, n / (classes · count).

    Shapes: numbers (rows,) of the training part's classes; the answer (classes,).
    Source: scikit-learn, `compute_class_weight`; King and Zeng, Logistic regression in rare events data (2001).
    """
    if not isinstance(given, str):
        return np.array([given.get(label_text(label), 1.0) for label in classes])
    counts = np.bincount(numbers, minlength=len(classes))
    present = int((counts > 0).sum())
    return np.where(counts > 0, len(numbers) / (present * np.maximum(counts, 1)), 1.0)
