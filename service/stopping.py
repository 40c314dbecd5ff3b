"""Early stopping: whether an epoch is the best so far, and whether it is the last. Knows no weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.metrics import is_error
from service.spec import EarlyStopping
from service.training_state import TrainingState


def judge(stopping: EarlyStopping, state: TrainingState, row: Mapping[str, Any]) -> bool:
    """Take notice of an epoch: one that is better by more than `min_delta` is the best, another counts to `patience`.

    Answers whether it is the best.
    """
    value: float | None = row[stopping.metric]
    if not _is_better(stopping, value, state.best_value):
        state.waited += 1
        if state.waited >= stopping.patience:
            state.stopped_by = "early_stopping"
        return False
    state.best_value, state.best_epoch, state.best_row, state.waited = value, row["epoch"], dict(row), 0
    return True


def valueless(stopping: EarlyStopping, state: TrainingState) -> str | None:
    """What is said at a training's end where the metric that was watched had no value in any epoch."""
    if state.best_epoch:
        return None
    return (
        f"early_stopping.metric {stopping.metric!r} had no value (null) in any epoch: none was the best,"
        " and the weights kept are the last one's"
    )


def _is_better(stopping: EarlyStopping, value: float | None, best: float | None) -> bool:
    if value is None or best is None:
        return value is not None
    gain = best - value if is_error(stopping.metric) else value - best
    return gain > stopping.min_delta
