"""The learning rate of each step of a training, by the spec's schedule. Keeps nothing: what a plateau has seen is the
training's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from service.metrics import is_error
from service.spec import OptimizerSpec
from service.training_state import TrainingState
from workers.mlp.choices import make
from workers.mlp.schedules import SCHEDULES, Plateau, ReduceOnPlateau


class LearningRate:
    """The rate at any place of a training of `epochs` times `steps` steps."""

    def __init__(self, given: OptimizerSpec, epochs: int, steps: int) -> None:
        self._base = given.learning_rate or 0.0
        self._schedule = make(SCHEDULES, given.schedule, "schedule")
        self._epochs = epochs
        self._steps = steps

    @property
    def by_epoch(self) -> bool:
        """Whether it is the same in all steps of an epoch."""
        return self._schedule.unit == "epoch" or isinstance(self._schedule, ReduceOnPlateau)

    def at(self, state: TrainingState) -> float:
        """The rate of the step that comes next."""
        schedule = self._schedule
        if isinstance(schedule, ReduceOnPlateau):
            return Plateau(**state.plateau).rate(schedule, self._base)
        if schedule.unit == "epoch":
            return schedule.rate(self._base, state.epoch, self._epochs)
        return schedule.rate(self._base, state.epoch * self._steps + state.step, self._epochs * self._steps)

    def judge(self, state: TrainingState, row: Mapping[str, Any]) -> None:
        """Take notice of an epoch, where the rate goes by a metric."""
        schedule = self._schedule
        if isinstance(schedule, ReduceOnPlateau):
            plateau = Plateau(**state.plateau)
            plateau.judge(schedule, row[schedule.metric], higher_is_better=not is_error(schedule.metric))
            state.plateau = asdict(plateau)
