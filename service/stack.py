"""Trainings that are computed together: weights and optimizers' states in arrays with a leading axis, one row each.

A training in a stack is what it is alone, but that its arrays are rows of the stack's: its state, its rows of metrics
and its checkpoints are its own, and its bits those of a training alone. Knows neither Redis nor who steers it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.layer_figures import step_figures
from service.optimizer import stack_optimizers
from service.parameter_server import follow_statistics
from service.training import Training
from workers.datafiles import Part
from workers.evaluation import Evaluation
from workers.mlp.arrays import Array, aligned, quietly
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.population import stacked
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.local import LocalTransport


class Stack:
    """Takes trainings in at the same step of their epochs, and does their steps and evaluations."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        """Raises: ValueError where they cannot be computed together."""
        self.trainings = trainings
        self._optimizer = stack_optimizers([training.spec.optimizer for training in trainings])
        self._transport = LocalTransport(ShardComputer(stacked([assignment_of(each) for each in trainings])))
        self._weights = self._transport.weights
        self._state = self._optimizer.state(self._weights)
        self._gradient = Parameters(self._weights.architecture, self._weights.networks)
        self._numbers = np.array([training.server.optimizer_steps for training in trainings])
        self._rates: Array | None = None
        self._same_rates = all(training.rate.by_epoch for training in trainings)  # throughout an epoch
        self._epochs: tuple[int, ...] = ()
        for row, training in enumerate(trainings):
            training.server.move(self._weights.flat[row], [array[row] for array in self._state])

    def step(self) -> list[BatchSums]:
        """Do one update of each training; answers the sums of each one's mini-batch before it.

        Sums that are no numbers update nothing.
        """
        rates, step = self._choose_rates(), self.trainings[0].next_step._replace(epoch=self._epochs)
        found = self._transport.gradient(step, self._gradient)
        sums = found.members()
        if step.observe:
            self._observe(sums)
        finite = np.isfinite(found.loss)
        self._numbers += 1
        self._update(np.where(finite, found.weight, 0.0), found.rows, rates)
        for training, sound in zip(self.trainings, finite.tolist(), strict=True):
            training.server.version += sound
        return sums

    def evaluate(self, part: Part = "validation") -> Sequence[Evaluation | None]:
        """Of each training a part's sums and outputs; None where it has no row."""
        found = self._transport.evaluate(part)
        return [None] * len(self.trainings) if found is None else found.members()

    def _choose_rates(self) -> Array:
        if self._rates is None or not self._same_rates or self.trainings[0].state.step == 0:
            for training in self.trainings:
                training.choose_rate()
            self._rates = np.array([training.state.rate for training in self.trainings], np.float64)
            self._epochs = tuple(training.state.epoch for training in self.trainings)
        return self._rates

    @quietly
    def _update(self, weight_sums: Array, rows: int, rates: Array) -> None:
        idle = weight_sums == 0
        kept = self._weights.flat[idle] if idle.any() else None
        self._optimizer.update(self._weights, self._gradient, weight_sums, self._state, rate=rates, step=self._numbers)
        follow_statistics(self._weights, self._gradient, rows)
        if kept is not None:
            self._weights.flat[idle] = kept

    def _observe(self, sums: Sequence[BatchSums]) -> None:
        for row, (training, found) in enumerate(zip(self.trainings, sums, strict=True)):
            if np.isfinite(found.loss):
                gradient_sums = [weights[row] for weights in self._gradient.W]
                training.server.figures = step_figures(found.layers, gradient_sums, found.weight)


def release(training: Training) -> None:
    """Let a training go on by itself, on arrays of its own."""
    server = training.server
    server.move(_like(server.parameters.flat), [_like(array) for array in server.optimizer_state])


def assignment_of(training: Training) -> Assignment:
    """What is computed for a training.

    Raises: ValueError where that is not all done in this process.
    """
    transport = training.server.transport
    if not isinstance(transport, LocalTransport):
        raise ValueError(f"transport: {type(transport).__name__}; allowed: LocalTransport")
    return transport.assignment


def _like(array: Array) -> Array:
    return aligned(array.shape, array.dtype)
