"""The parameter server: combines gradients in a fixed order, applies the update, counts the version.

It alone holds what training changes (weights and the optimizer's state); the workers behind its transport keep
nothing. Knows neither Redis nor the queue, and not where its workers run.
"""

from __future__ import annotations

import math
from functools import cached_property

from service.layer_figures import Figures, step_figures
from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Evaluation
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.choices import Choice
from workers.mlp.initializers import initialize
from workers.mlp.normalizations import follow_running
from workers.mlp.optimizers import Optimizer
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.transport import Transport


class ParameterServer:
    """Weights v → gradient sums of all shards → average → optimizer step → weights v + 1."""

    def __init__(
        self,
        architecture: Architecture,
        optimizer: Optimizer,
        transport: Transport,
        seed: int,
        initializer: Choice = "glorot_uniform",
    ) -> None:
        self.parameters = transport.weights
        initialize(self.parameters, seed, initializer)
        self.optimizer_state = optimizer.state(self.parameters)
        self.version = 0
        self.steps_before = 0  # those that the optimizer's state had seen when this training began
        self.converged = False  # nothing makes the loss smaller
        self.figures: list[Figures] = []  # of each layer, in the last mini-batch that was observed
        self.staleness: int | None = None  # of the last update, where that can differ from 0
        self.transport = transport
        self._optimizer = optimizer

    @cached_property
    def _gradient(self) -> Parameters:
        return Parameters(self.parameters.architecture)

    def move(self, flat: Array, optimizer_state: list[Array]) -> None:
        """Have the weights and the optimizer's state lie in these arrays from now on, as they are.

        The transport must not have given the weights to anybody else.
        """
        flat[...] = self.parameters.flat
        for array, before in zip(optimizer_state, self.optimizer_state, strict=True):
            array[...] = before
        self.parameters = self.transport.weights = Parameters(self.parameters.architecture, (), flat)
        self.optimizer_state = optimizer_state

    @property
    def optimizer_steps(self) -> int:
        """How many steps the optimizer's state has seen."""
        return self.steps_before + self.version

    @property
    def settled(self) -> bool:
        """Whether the weights have every mini-batch that was started: what is known of a training is all of it."""
        return True

    def settle(self) -> None:
        """Be settled after some steps."""

    def step(self, step: Step, rate: float | None = None) -> BatchSums:
        """Do one update, at this rate or at the optimizer's own; answers the mini-batch's sums before it.

        Sums that are no numbers update nothing.

        Raises: WorkersLost, with nothing changed: the step can be done again.
        """
        sums = self.transport.gradient(step, self._gradient)
        self._update(self._gradient, sums, rate, observe=step.observe)
        return sums

    def first_broken_layer(self, step: Step) -> int | None:
        """The first layer, from 1, that puts out what is no number in this mini-batch; None where it is the loss.

        Raises: WorkersLost.
        """
        layers = self.transport.gradient(step._replace(observe=True), self._gradient).layers
        return next((number for number, layer in enumerate(layers, start=1) if not layer.finite), None)

    def _update(self, gradient: Parameters, sums: BatchSums, rate: float | None, *, observe: bool) -> None:
        if not math.isfinite(sums.loss):
            return
        if observe:
            self.figures = step_figures(sums.layers, gradient.W, sums.weight)
        self._optimizer.update(
            self.parameters, gradient, sums.weight, self.optimizer_state, rate=rate, step=self.optimizer_steps + 1
        )
        if sums.weight:
            follow_statistics(self.parameters, gradient, sums.rows)
        self.version += 1

    def evaluate(self, part: Part = "validation") -> Evaluation | None:
        """A part's sums and outputs with the weights as they are; None where it has no row.

        Raises: WorkersLost.
        """
        return self.transport.evaluate(part)


def follow_statistics(parameters: Parameters, gradient: Parameters, rows: int) -> None:
    """Take a step's statistics of `rows` samples, which stand in the gradient, into the running ones."""
    for own, of_step, layer in zip(parameters.others, gradient.others, parameters.architecture.layers, strict=True):
        if layer.running:
            follow_running(own, of_step, rows)
