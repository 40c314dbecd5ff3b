"""The row of metrics that an epoch leaves. Knows not who reads it."""

from __future__ import annotations

from typing import Any

from service.scoring import Scores
from service.span import Span
from service.spec import JobSpec
from service.training_state import TrainingState
from workers.evaluation import Evaluation


def epoch_row(
    spec: JobSpec,
    state: TrainingState,
    span: Span,
    validation: Evaluation | None,
    scores: Scores,
    samples_per_s: float | None,
) -> dict[str, Any]:
    """The metrics of the epoch whose steps have just been made; `scores` are those of the validation part."""
    row: dict[str, Any] = {"epoch": span.epochs_before + state.epoch + 1, **span.marks}
    row["train_loss"] = mean(state.loss, state.weight)
    if spec.data.task in ("binary", "multiclass"):
        row["train_accuracy"] = mean(state.correct, state.weight)
    if validation is not None:
        row["validation_loss"] = mean(float(validation.sums.loss), float(validation.sums.weight))
        row |= {f"validation_{name}": value for name, value in scores.items()}
    if state.staleness:
        row["staleness"] = state.staleness
    row["learning_rate"] = state.rate
    row["samples_per_s"] = samples_per_s
    return row


def mean(total: float, weight: float) -> float | None:
    """The weighted mean of a sum; None where no row weighed anything."""
    return total / weight if weight else None
