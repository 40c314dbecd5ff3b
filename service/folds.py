"""The trainings that a job is made of, one after the other: one alone, or those of `data.folds`. Knows no workers.

Each fold is trained on the rows that do not validate it, and stopped early where that is asked. Then all rows train one
more network, the refit, for the mean of the folds' best epochs and without early stopping: it is the job's model. The
schedule of its rate is that of the folds, so that it learns at the rates at which they were best.

What a fold leaves, plain JSON in the state of the next training: `fold` from 1, `metrics`, `best_epoch` (the fold's
own, from 1), `epochs` and `steps` made, `confusion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from service.partition import fold_rows
from service.resolution import Resolution
from service.span import Span
from service.spec import JobSpec
from workers.batches import steps_per_epoch

Finished = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One of the trainings: what it trains, which fold validates (from 0; None: no fold does), and its place."""

    resolution: Resolution
    fold: int | None
    span: Span


def next_stage(resolution: Resolution, finished: Sequence[Finished]) -> Stage:
    """The training that comes after these folds."""
    folds, epochs = resolution.spec.data.folds, resolution.spec.epochs
    if folds is None:
        return Stage(resolution, None, Span(epochs))
    fold = len(finished) if len(finished) < folds else None
    own, *later = [*(_of_fold(resolution, each) for each in range(len(finished), folds)), _of_refit(resolution)]
    span = Span(
        epochs=refit_epochs(finished) if fold is None else epochs,
        epochs_before=sum(each["epochs"] for each in finished),
        steps_before=sum(each["steps"] for each in finished),
        epochs_after=epochs * len(later),
        steps_after=epochs * sum(map(_steps, later)),
        marks={"fold": None if fold is None else fold + 1},
    )
    return Stage(own, fold, span)


def refit_epochs(finished: Sequence[Finished]) -> int:
    """The mean of the best epochs, rounded, a half upwards; at least 1."""
    return max(int(fmean(each["best_epoch"] for each in finished) + 0.5), 1)


def most_epochs(spec: JobSpec) -> int:
    """How many epochs all trainings of a job have together, unless they end early."""
    return spec.epochs * (1 + (spec.data.folds or 0))


def cross_validation(finished: Sequence[Finished]) -> dict[str, dict[str, float | None]]:
    """Of each metric, the mean over the folds where it has a value, and their standard deviation (n − 1)."""
    found = {}
    for name in finished[0]["metrics"]:
        values = [each["metrics"][name] for each in finished if each["metrics"][name] is not None]
        found[name] = {
            "mean": fmean(values) if values else None,
            "std": stdev(values) if len(values) > 1 else None,
        }
    return found


def _of_fold(resolution: Resolution, fold: int) -> Resolution:
    folds = resolution.spec.data.folds
    assert folds is not None
    train, validation = fold_rows(resolution.train_rows, folds, fold)
    return replace(resolution, train_rows=train, validation_rows=validation)


def _of_refit(resolution: Resolution) -> Resolution:
    return replace(resolution, spec=resolution.spec.model_copy(update={"early_stopping": None}))


def _steps(resolution: Resolution) -> int:
    return steps_per_epoch(resolution.train_rows, resolution.batch_size, resolution.least_rows)
