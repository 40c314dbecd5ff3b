"""Early stopping: whether an epoch is the best so far, and whether it is the last. Knows no weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.spec import EarlyStopping
from service.training_state import TrainingState


def judge(stopping: EarlyStopping, state: TrainingState, row: Mapping[str, Any]) -> bool:
    """Take notice of an epoch: one that is better by more than `min_delta` is the best, another counts to `patience`.

    Answers whether it is the best.
    """
    value, best = float(row[stopping.metric]), state.best_value
    gain = 0.0 if best is None else best - value if stopping.metric.endswith("loss") else value - best
    if best is not None and not gain > stopping.min_delta:
        state.waited += 1
        if state.waited >= stopping.patience:
            state.stopped_by = "early_stopping"
        return False
    state.best_value, state.best_epoch, state.best_row, state.waited = value, row["epoch"], dict(row), 0
    return True
