"""Where a training is: with the parameter server's arrays, all that is needed to go on with the same bits.

Plain JSON values throughout, since a checkpoint holds them. Knows not what changes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class TrainingState:
    """Where a training is between two of its steps."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done in this epoch
    loss: float = 0.0  # sums of this epoch's mini-batches as they were made
    weight: float = 0.0
    correct: float = 0.0
    best_value: float | None = None
    best_epoch: int = 0
    best_row: dict[str, Any] | None = None
    last_row: dict[str, Any] | None = None
    waited: int = 0  # epochs since the best one
    rate: float | None = None  # of the last step
    plateau: dict[str, Any] = field(default_factory=dict)  # what a rate that goes by a metric has seen
    converged: bool = False  # the last step found nothing better, or next to nothing
    stopped_by: str | None = None  # converged, early_stopping, or a rule
    figures: list[dict[str, Any]] = field(default_factory=list)  # of each layer, in the epoch's observed step
    staleness: list[int] = field(default_factory=list)  # how many of this epoch's updates were 0, 1, … updates stale
    rules: list[int] = field(default_factory=list)  # for each, the epochs on end that it holds
    signalled: list[str] = field(default_factory=list)  # what the job was warned of
    seconds: float = 0.0  # training time, all attempts and trainings added
    folds: list[dict[str, Any]] = field(default_factory=list)  # what those before this training have left

    @property
    def stopped(self) -> bool:
        """Whether it ends before its last epoch."""
        return self.stopped_by is not None

    def follow(self, before: TrainingState, folds: list[dict[str, Any]]) -> None:
        """Take over from the training before this one what belongs to the whole job."""
        self.seconds, self.signalled, self.folds = before.seconds, before.signalled, folds

    def begin_epoch(self) -> None:
        """Count an epoch as done."""
        self.epoch, self.step, self.loss, self.weight, self.correct = self.epoch + 1, 0, 0.0, 0.0, 0.0
        self.staleness = []
