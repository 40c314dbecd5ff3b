"""The training of one job: epochs of steps, evaluation, early stopping. All that steers it is in `TrainingState`.

Reads no clock that could change a bit, and knows neither Redis nor files: what happens around a step (checkpoints,
flags, rows recorded) is its `Observer`'s. A state saved between two steps and restored goes on with the same bits.
"""

from __future__ import annotations

import math
import time
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from service.divergence import diverged_hint
from service.epoch_rows import epoch_row
from service.errors import Diverged
from service.layer_figures import epoch_figures, signals
from service.learning_rate import LearningRate
from service.parameter_server import ParameterServer
from service.rules import judge as judge_rules
from service.rules import sentence
from service.scoring import Scorer
from service.span import Span
from service.spec import JobSpec
from service.staleness import count
from service.stopping import judge, valueless
from service.training_state import TrainingState
from workers.batches import Step, last_whole_step, steps_per_epoch
from workers.evaluation import Evaluation
from workers.mlp.sums import BatchSums


class Observer(Protocol):
    """What is told of a training, between its steps."""

    def after_step(self) -> None:
        """Called after each step; may raise to end the training there."""

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Called with each epoch's metrics, once."""

    def after_reports(self) -> None:
        """Called once an epoch is reported, in a population by every member, and all is done that the spec says of it;
        may raise.
        """

    def tell(self, level: Literal["info", "warning"], message: str) -> None:
        """Called with what a person should know of the epoch."""

    def pause(self, reason: str) -> None:
        """Called, after all else of the epoch, where a rule pauses the job; raises to end the training there."""


class Training:
    """Runs one resolved spec on a parameter server, from any state to its end."""

    def __init__(
        self,
        spec: JobSpec,
        server: ParameterServer,
        train_rows: int,
        batch_size: int,
        least_rows: int = 1,
        scorer: Scorer | None = None,  # of the validation part
        span: Span | None = None,
    ) -> None:
        self.spec = spec
        self.server = server
        self.scorer = scorer
        self.span = span or Span(spec.epochs)
        self.state = TrainingState(rules=[0] * len(spec.rules))
        self.best: NDArray[np.floating] | None = None  # the flat weights of the best epoch
        self.rows = train_rows
        self.batch_size = batch_size
        self.steps = steps_per_epoch(train_rows, batch_size, least_rows)
        self.rate = LearningRate(spec.optimizer, spec.epochs, self.steps)
        self._observed = last_whole_step(train_rows, batch_size)
        self._epoch_started = self._counted = time.monotonic()
        self._samples = 0

    @property
    def steps_done(self) -> int:
        """Updates made since the job began."""
        return self.span.steps_before + self.server.version

    @property
    def epochs_done(self) -> int:
        """Epochs done since the job began."""
        return self.span.epochs_before + self.state.epoch

    def run(self, observer: Observer) -> None:
        """Train to the end: the last epoch, or early stopping.

        Raises: Diverged, WorkersLost, and whatever the observer raises.
        """
        self.start_clocks()
        while not self.over:
            while self.state.step < self.steps:
                self.choose_rate()
                self.take_step(self.server.step(self.next_step, self.state.rate))
                observer.after_step()
            row = self.close_epoch(self.server.evaluate())
            observer.after_epoch(row)
            self.heed(observer, row)
            observer.after_reports()
        self.count_seconds()

    @property
    def over(self) -> bool:
        """Whether it has trained to its end."""
        return self.state.stopped or self.state.epoch >= self.span.epochs

    def keep_best(self) -> None:
        """Put the best epoch's weights in place of the last one's, where early stopping asked for it."""
        if self.best is not None:
            self.server.parameters.flat[...] = self.best

    def progress(self) -> dict[str, Any]:
        """How far it is, for people: `samples_per_s` of the present epoch, `eta_s` for all that may be left."""
        span = self.span
        total = span.steps_before + span.epochs * self.steps + span.steps_after
        elapsed = time.monotonic() - self._epoch_started
        speed = self._samples / elapsed if elapsed > 0 and self._samples else None
        left = (total - self.steps_done) * self.rows / self.steps
        return {
            "epoch": self.epochs_done,
            "epochs": span.epochs_before + span.epochs + span.epochs_after,
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

    @property
    def settled(self) -> bool:
        """Whether its state is that of the weights, so that it can go on from both."""
        return self.server.settled

    def settle(self) -> None:
        """Be settled after some steps."""
        self.server.settle()

    def check_finite(self) -> None:
        """Raises: Diverged where a weight is no number any more, or anything else that a checkpoint would hold."""
        for number, arrays in enumerate(self.server.parameters.by_layer(), start=1):
            if not all(np.isfinite(array).all() for array in arrays):
                raise self._diverged("a weight is no longer finite", number)

    def choose_rate(self) -> None:
        """Find the rate of the step that comes next."""
        self.state.rate = self.rate.at(self.state)

    @property
    def next_step(self) -> Step:
        """The mini-batch that comes next."""
        state = self.state
        return Step(state.epoch, state.step, observe=state.step == self._observed)

    def take_step(self, sums: BatchSums) -> None:
        """Take notice of the update that the server has made of the mini-batch that came next.

        Raises: Diverged.
        """
        state = self.state
        if not math.isfinite(sums.loss):
            layer = self.server.first_broken_layer(self.next_step)
            raise self._diverged(f"the loss became {sums.loss}", layer)
        state.figures = self.server.figures or state.figures
        if self.server.staleness is not None:
            count(state.staleness, self.server.staleness)
        state.loss += float(sums.loss)
        state.weight += float(sums.weight)
        state.correct += float(sums.correct)
        self._samples += sums.rows
        state.step += 1
        state.converged = self.server.converged

    def close_epoch(self, validation: Evaluation | None) -> dict[str, Any]:
        """Count an epoch as done; answers its row.

        Raises: Diverged.
        """
        self.check_finite()
        if validation is not None and not math.isfinite(validation.sums.loss):
            raise self._diverged(f"the validation loss became {validation.sums.loss}")
        scores = {} if validation is None or self.scorer is None else self.scorer.score(validation.outputs)
        elapsed = time.monotonic() - self._epoch_started
        speed = self._samples / elapsed if elapsed > 0 else None
        row = epoch_row(self.spec, self.state, self.span, validation, scores, speed)
        predicted = () if validation is None else validation.sums.layers
        row["layers"] = epoch_figures(self.state.figures, predicted, self.server.parameters)
        self.state.last_row = row
        self.rate.judge(self.state, row)
        stopping = self.spec.early_stopping
        if stopping is not None and judge(stopping, self.state, row):
            self._keep()
        self.state.begin_epoch()
        if self.state.converged:
            self.state.stopped_by = "converged"
        self._epoch_started, self._samples = time.monotonic(), 0
        return row

    def heed(self, observer: Observer, row: dict[str, Any]) -> None:
        """Say what a person should know of an epoch, and do what the spec's rules say of it.

        Raises: what the observer raises to pause.
        """
        self._signal(observer, row)
        self._obey(observer, row)

    def _keep(self) -> None:
        if self.best is None:
            self.best = np.empty_like(self.server.parameters.flat)
        self.best[...] = self.server.parameters.flat

    def _signal(self, observer: Observer, row: dict[str, Any]) -> None:
        """Warn once of deltas that vanish or explode, of dead units, and of a watched metric without a value."""
        found, stopping = signals(row["layers"]), self.spec.early_stopping
        if stopping is not None and self.over and (said := valueless(stopping, self.state)):
            found["valueless"] = said
        for word, message in found.items():
            if word not in self.state.signalled:
                self.state.signalled.append(word)
                observer.tell("warning", message)

    def _obey(self, observer: Observer, row: dict[str, Any]) -> None:
        """Do what the spec's rules say of the epoch: pausing comes last, since it ends the training here."""
        pauses = []
        for rule in judge_rules(self.spec.rules, self.state.rules, row):
            seen = sentence(rule, row)
            if rule.action == "warn":
                observer.tell("warning", f"Rule: {seen}.")
            elif rule.action == "stop":
                self.state.stopped_by = "rule"
                observer.tell("info", f"Stopped by a rule: {seen}.")
            else:
                pauses.append(seen)
        if pauses:
            observer.pause(f"paused by a rule: {'; '.join(pauses)}")

    def _diverged(self, what: str, layer: int | None = None) -> Diverged:
        epoch = self.span.epochs_before + self.state.epoch + 1
        where = f"epoch {epoch}, step {self.steps_done}" + (f", layer {layer}" if layer else "")
        return Diverged(f"At {where}: {what}.", hint=diverged_hint(self.spec))

    def start_clocks(self) -> None:
        """Training goes on now."""
        self._epoch_started = self._counted = time.monotonic()
        self._samples = 0
