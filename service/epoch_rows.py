"""The row of metrics that an epoch leaves. Knows not who reads it."""

from __future__ import annotations

from typing import Any

from service.spec import JobSpec
from service.training_state import TrainingState
from workers.mlp.sums import BatchSums


def epoch_row(
    spec: JobSpec, state: TrainingState, validation: BatchSums | None, samples_per_s: float | None
) -> dict[str, Any]:
    """The metrics of the epoch whose steps have just been made."""
    classes = spec.data.task != "regression"
    row: dict[str, Any] = {"epoch": state.epoch + 1, "train_loss": mean(state.loss, state.weight)}
    if validation is not None:
        row["validation_loss"] = mean(float(validation.loss), float(validation.weight))
    if classes:
        row["train_accuracy"] = mean(state.correct, state.weight)
    if classes and validation is not None:
        row["validation_accuracy"] = mean(float(validation.correct), float(validation.weight))
    row["learning_rate"] = spec.optimizer.learning_rate
    row["samples_per_s"] = samples_per_s
    return row


def mean(total: float, weight: float) -> float | None:
    """The weighted mean of a sum; None where no row weighed anything."""
    return total / weight if weight else None
