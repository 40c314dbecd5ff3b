"""When a training stops before its last epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.spec.base import Spec

Watched = Literal[
    "validation_loss",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "validation_f1",
    "validation_auc",
    "validation_log_loss",
    "validation_r2",
    "validation_mae",
    "validation_rmse",
    "train_loss",
    "train_accuracy",
]


class EarlyStopping(Spec):
    """Stop when `metric` has not improved by more than `min_delta` for `patience` epochs; keep the best weights.

    Errors (…_loss, _mae, _rmse) improve downwards, all others upwards; a metric without a value does not improve.
    """

    metric: Watched = "validation_loss"
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    min_delta: Annotated[float, Field(ge=0, le=1e9)] = 0.0
