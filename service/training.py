"""The training of one job: epochs of steps, evaluation, early stopping. All that steers it is in `TrainingState`.

Reads no clock that could change a bit, and knows neither Redis nor files: what happens around a step (checkpoints,
flags, rows recorded) is its `Observer`'s. A state saved between two steps and restored goes on with the same bits.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import Diverged
from service.parameter_server import ParameterServer
from service.spec import EarlyStopping, JobSpec
from workers.batches import Step, batch_rows, steps_per_epoch
from workers.mlp.sums import BatchSums

DIVERGED_HINT = "Try a smaller optimizer.learning_rate, or data.scale standard and data.scale_target standard."


@dataclass
class TrainingState:
    """Where a training is; with the parameter server's arrays, all that is needed to go on."""

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
    stopped: bool = False
    seconds: float = 0.0  # training time, all attempts added


class Observer(Protocol):
    """What is told of a training, between its steps."""

    def after_step(self) -> None:
        """Called after each step; may raise to end the training there."""

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Called with each epoch's metrics, once."""


class Training:
    """Runs one resolved spec on a parameter server, from any state to its end."""

    def __init__(
        self, spec: JobSpec, server: ParameterServer, train_rows: int, batch_size: int, least_rows: int = 1
    ) -> None:
        self.spec = spec
        self.server = server
        self.state = TrainingState()
        self.best: NDArray[np.floating] | None = None  # the flat weights of the best epoch
        self.rows = train_rows
        self.batch_size = batch_size
        self.steps = steps_per_epoch(train_rows, batch_size, least_rows)
        self._epoch_started = self._counted = time.monotonic()
        self._samples = 0

    @property
    def steps_done(self) -> int:
        """Updates made since the job began."""
        return self.server.version

    def run(self, observer: Observer) -> None:
        """Train to the end: the last epoch, or early stopping.

        Raises: Diverged, WorkersLost, and whatever the observer raises.
        """
        self._start_clocks()
        while self.state.epoch < self.spec.epochs and not self.state.stopped:
            while self.state.step < self.steps:
                self._step()
                observer.after_step()
            observer.after_epoch(self._close_epoch())
        self.count_seconds()

    def keep_best(self) -> None:
        """Put the best epoch's weights in place of the last one's, where early stopping asked for it."""
        if self.best is not None:
            self.server.parameters.flat[...] = self.best

    def progress(self) -> dict[str, Any]:
        """How far it is, for people: `samples_per_s` of the present epoch, `eta_s` for all that may be left."""
        total = self.spec.epochs * self.steps
        elapsed = time.monotonic() - self._epoch_started
        speed = self._samples / elapsed if elapsed > 0 and self._samples else None
        left = (total - self.steps_done) * self.rows / self.steps
        return {
            "epoch": self.state.epoch,
            "epochs": self.spec.epochs,
            "step": self.steps_done,
            "steps": total,
            "fraction": self.steps_done / total,
            "samples_per_s": speed,
            "eta_s": left / speed if speed else None,
        }

    def count_seconds(self) -> None:
        """Add the time since the last call to the state's `seconds`."""
        now = time.monotonic()
        self.state.seconds += now - self._counted
        self._counted = now

    def _step(self) -> None:
        state = self.state
        sums = self.server.step(Step(state.epoch, state.step))
        if not math.isfinite(sums.loss):
            raise self._diverged(f"the loss became {sums.loss}")
        state.loss += float(sums.loss)
        state.weight += float(sums.weight)
        state.correct += float(sums.correct)
        batch = batch_rows(self.rows, self.batch_size, state.step)
        self._samples += batch.stop - batch.start
        state.step += 1

    def _close_epoch(self) -> dict[str, Any]:
        if not np.isfinite(self.server.parameters.flat).all():
            raise self._diverged("a weight is no longer finite")
        validation = self.server.evaluate()
        if validation is not None and not math.isfinite(validation.loss):
            raise self._diverged(f"the validation loss became {validation.loss}")
        row = self.state.last_row = self._row(validation)
        if self.spec.early_stopping is not None:
            self._judge(self.spec.early_stopping, row)
        state = self.state
        state.epoch, state.step, state.loss, state.weight, state.correct = state.epoch + 1, 0, 0.0, 0.0, 0.0
        self._epoch_started, self._samples = time.monotonic(), 0
        return row

    def _row(self, validation: BatchSums | None) -> dict[str, Any]:
        state = self.state
        elapsed = time.monotonic() - self._epoch_started
        classes = self.spec.data.task != "regression"
        row: dict[str, Any] = {"epoch": state.epoch + 1, "train_loss": state.loss / state.weight}
        if validation is not None:
            row["validation_loss"] = float(validation.loss) / float(validation.weight)
        if classes:
            row["train_accuracy"] = state.correct / state.weight
        if classes and validation is not None:
            row["validation_accuracy"] = float(validation.correct) / float(validation.weight)
        row["learning_rate"] = self.spec.optimizer.learning_rate
        row["samples_per_s"] = self._samples / elapsed if elapsed > 0 else None
        return row

    def _judge(self, stopping: EarlyStopping, row: dict[str, Any]) -> None:
        """Keep the weights when the metric improved by more than min_delta, else count towards patience."""
        state, value = self.state, float(row[stopping.metric])
        best = state.best_value
        gain = math.inf if best is None else (best - value if stopping.metric.endswith("loss") else value - best)
        if gain > stopping.min_delta:
            state.best_value, state.best_epoch, state.best_row, state.waited = value, row["epoch"], row, 0
            if self.best is None:
                self.best = np.empty_like(self.server.parameters.flat)
            self.best[...] = self.server.parameters.flat
        else:
            state.waited += 1
            state.stopped = state.waited >= stopping.patience

    def _diverged(self, what: str) -> Diverged:
        state = self.state
        return Diverged(f"At epoch {state.epoch + 1}, step {self.steps_done}: {what}.", hint=DIVERGED_HINT)

    def _start_clocks(self) -> None:
        self._epoch_started = self._counted = time.monotonic()
        self._samples = 0
