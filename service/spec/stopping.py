"""When a training stops before its last epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.spec.base import Spec


class EarlyStopping(Spec):
    """Stop when `metric` has not improved by more than `min_delta` for `patience` epochs; keep the best weights."""

    metric: Literal["validation_loss", "validation_accuracy", "train_loss", "train_accuracy"] = "validation_loss"
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    min_delta: Annotated[float, Field(ge=0, le=1e9)] = 0.0
