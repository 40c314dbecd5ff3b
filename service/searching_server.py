"""The parameter server of L-BFGS: a step is one iteration, a search along one direction.

Each evaluation is one round over all shards, with the rows in the order of the first epoch, so that the function is
the same one throughout, to the bit. What was found at the weights as they are is kept from one iteration to the next;
after a checkpoint, which holds the history alone, it is found again. Knows neither Redis nor the queue.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from service.layer_figures import Figures, step_figures
from service.parameter_server import ParameterServer
from workers.batches import Step
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array, aligned, quietly
from workers.mlp.choices import Choice
from workers.mlp.optimizers.lbfgs import LBFGS, dot
from workers.mlp.optimizers.line_search import LineSearch, Point
from workers.mlp.sums import BatchSums
from workers.transport import Transport


class Found(NamedTuple):
    """What an evaluation finds beside the gradient: the sums, the function's value, what each layer did."""

    sums: BatchSums
    value: float
    figures: list[Figures]


class SearchingServer(ParameterServer):
    """Weights v → direction → strong-Wolfe search → weights v + 1.

    The function is the mean loss + ½ l2 Σ W². `converged` is set where no step makes it smaller; the weights stay.
    """

    def __init__(
        self,
        architecture: Architecture,
        optimizer: LBFGS,
        transport: Transport,
        seed: int,
        initializer: Choice = "glorot_uniform",
    ) -> None:
        super().__init__(architecture, optimizer, transport, seed, initializer)
        self._rule = optimizer
        p = self.parameters.trained
        self._start, self._slope, self._direction = (aligned(p.shape, p.dtype) for _ in range(3))
        self._found: tuple[int, Found] | None = None  # and at the weights of which version

    @quietly
    def step(self, step: Step, rate: float | None = None) -> BatchSums:
        """Do one iteration, its search beginning at this length; answers the sums before it.

        A value that is no number updates nothing.
        Raises: WorkersLost, with nothing changed: the step can be done again.
        """
        here = self._here(step)
        if not math.isfinite(here.value):
            return here.sums._replace(loss=here.value)
        self.figures = here.figures
        there = self._iterate(step, here, self._rule.default_rate if rate is None else rate)
        self.converged = there is None or self._rule.hardly_changed(here.value, there.value)
        self.version += 1
        self._found = (self.version, there or here)
        return here.sums

    def _here(self, step: Step) -> Found:
        if self._found is None or self._found[0] != self.version:
            self._found = (self.version, self._evaluate(step))
        return self._found[1]

    def _iterate(self, step: Step, here: Found, rate: float) -> Found | None:
        """Go on to lower ground and remember the way; None, with nothing changed, where there is none."""
        p, g = self.parameters.trained, self._gradient.trained
        if not rate or not here.sums.weight or self._rule.flat(g):
            return None
        np.copyto(self._start, p)
        np.copyto(self._slope, g)
        try:
            there = self._search(step, here, rate) or self._search_anew(step, here, rate)
        except BaseException:
            np.copyto(p, self._start)
            self._found = None
            raise
        if there is None:
            np.copyto(p, self._start)
            np.copyto(g, self._slope)
            return None
        self._rule.remember(
            self.optimizer_state,
            np.subtract(p, self._start, out=self._start),
            np.subtract(g, self._slope, out=self._slope),
        )
        return there

    def _search_anew(self, step: Step, here: Found, rate: float) -> Found | None:
        """Forget a history whose direction leads nowhere, and try the gradient's own."""
        if not any(array.any() for array in self.optimizer_state):
            return None
        for array in self.optimizer_state:
            array.fill(0)
        return self._search(step, here, rate)

    def _search(self, step: Step, here: Found, rate: float) -> Found | None:
        """Search along the direction; the weights, and the gradient, are those of what is found."""
        p, g, direction, scratch = self.parameters.trained, self._gradient.trained, self._direction, self._room()
        np.copyto(direction, self._slope)
        self._rule.turn(direction, self.optimizer_state)
        fall = dot(self._slope, direction, scratch)
        if not fall < 0:
            return None
        last: tuple[float, Found] = (0.0, here)

        def evaluate(t: float) -> Point:
            nonlocal last
            np.multiply(direction, p.dtype.type(t), out=scratch)
            np.add(self._start, scratch, out=p)
            last = (t, self._evaluate(step))
            return Point(t, last[1].value, dot(g, direction, scratch))

        resolution = float(np.finfo(p.dtype).eps) * abs(here.value)
        search = LineSearch(evaluate, Point(0.0, here.value, fall), self._rule.max_evaluations, resolution)
        best = search.find(self._first(rate))
        if not best.t or not best.value < here.value:
            return None
        if best.t != last[0]:
            evaluate(best.t)
        return last[1]

    def _first(self, rate: float) -> float:
        """The length tried first; the gradient's own size says nothing of it.

        Source: PyTorch's LBFGS.
        """
        known = any(array[-1].any() for array in self.optimizer_state)
        return rate if known else rate * min(1.0, 1.0 / float(np.abs(self._slope).sum(dtype=np.float64)))

    def _evaluate(self, step: Step) -> Found:
        """One round over all shards; the gradient becomes the mean's, with the penalty.

        A gradient that is no number leaves no value either.
        """
        sums = self.transport.gradient(Step(0, 0, step.observe), self._gradient)
        figures = step_figures(sums.layers, self._gradient.W, sums.weight) if step.observe else []
        if not sums.weight:
            return Found(sums, 0.0, figures)
        g, limits = self._gradient.trained, self._rule.regularization
        np.divide(g, g.dtype.type(sums.weight), out=g)
        limits.shape_gradient(self.parameters, self._gradient)
        value = sums.loss / sums.weight + limits.penalty(self.parameters)
        sound = math.isfinite(g.sum(dtype=np.float64))  # as it is only where each number of it is
        return Found(sums, value if sound else math.nan, figures)

    def _room(self) -> Array:
        return self._rule.scratch(self._direction)
