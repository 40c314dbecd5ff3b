"""What every optimizer does with a mini-batch's gradient sums, in its order; and what one of them adds to it.

    average    g ← Σ gradients / Σ w
    penalties  g ← g + l2 · W + l1 · sign(W)             on W alone
    clipping   each number, then the norm of all          (regularization.py)
    rule       p and the state follow g                  each optimizer's own
    max norm   of each unit's weights                     (regularization.py)

Knows neither network nor data; works on flat arrays and their views. Scalars are Python's float64 and cast once to the
precision; of a population each may be an array of shape `networks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.arrays import Array, aligned, quietly
from workers.mlp.optimizers.regularization import Regularization
from workers.mlp.parameters import Parameters
from workers.mlp.scalars import asked, per_network

# Bounds of fields. An ε is never so small that it is 0 in float32, where a gradient of 0 is divided by it.
SHARE: Final = {"least": 0, "below": 1}
SMALL: Final = {"least": 1e-30, "most": 1}
DECAY: Final = {"least": 0, "most": 1e6}


@dataclass(eq=False)
class Optimizer(ABC):
    """A rule by which weights follow the gradient. `learning_rate` is what `rate` is where an update is given none."""

    name: ClassVar[str]
    default_rate: ClassVar[float | None] = None  # None: by the task
    full_batch: ClassVar[bool] = False  # whether it makes sense only where each step sees all rows
    state_arrays: ClassVar[int] = 0
    scratch_arrays: ClassVar[int] = 1

    learning_rate: ArrayLike
    regularization: Regularization = field(default_factory=Regularization, kw_only=True)
    _scratch: dict[int, Array] = field(default_factory=dict, init=False, repr=False)

    def state_count(self) -> int:
        """Return how many arrays are carried from step to step."""
        return self.state_arrays

    def scratch_count(self) -> int:
        """Return how many more arrays of that size a step needs for intermediate results."""
        return self.scratch_arrays

    def state(self, parameters: Parameters) -> list[Array]:
        """Return the arrays that are carried from step to step, zeros at first, (…, trained size) each."""
        return [aligned(parameters.trained.shape, parameters.flat.dtype) for _ in range(self.state_count())]

    @quietly
    def update(
        self,
        parameters: Parameters,
        gradient_sum: Parameters,
        weight_sum: ArrayLike,
        state: list[Array],
        *,
        rate: ArrayLike | None = None,
        step: ArrayLike = 1,
    ) -> None:
        """Change the parameters and the state in place; `gradient_sum` is used up. Steps count from 1.

        A mini-batch without weight changes nothing.
        """
        weightless = np.equal(weight_sum, 0)
        if weightless.all():
            return
        p, g = parameters.trained, gradient_sum.trained
        kept: list[tuple[Array, Array]] = []
        if weightless.any():
            kept = [(array, array[weightless]) for array in (p, *state)]
            weight_sum = np.where(weightless, 1.0, weight_sum)
        np.divide(g, per_network(weight_sum, p.dtype), out=g)
        self.regularization.shape_gradient(parameters, gradient_sum)
        self.descend(p, g, state, self.learning_rate if rate is None else rate, step)
        self.regularization.limit_weights(parameters)
        for array, before in kept:
            array[weightless] = before

    @abstractmethod
    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow the averaged gradient g, which may be used up.

        Shapes: p, g and each of the state (…, trained size).
        """

    def decay(self, p: Array, g: Array, weight_decay: ArrayLike) -> None:
        """g ← g + weight_decay · p, on every parameter, biases too; as PyTorch has it."""
        if asked(weight_decay):
            scratch = self.scratch(p)
            np.multiply(p, per_network(weight_decay, p.dtype), out=scratch)
            np.add(g, scratch, out=g)

    def take(self, p: Array, direction: Array, rate: ArrayLike, change: Array | None = None) -> None:
        """p ← p − rate · direction, which is used up where there is no array for the change."""
        change = np.multiply(direction, per_network(rate, p.dtype), out=direction if change is None else change)
        np.subtract(p, change, out=p)

    def scratch(self, like: Array, number: int = 0) -> Array:
        """Return an array of that shape for intermediate results, the same one each time."""
        kept = self._scratch.get(number)
        if kept is None or kept.shape != like.shape or kept.dtype != like.dtype:
            kept = self._scratch[number] = aligned(like.shape, like.dtype)
        return kept


def follow(average: Array, value: Array, keep: ArrayLike, scratch: Array) -> None:
    """average ← keep · average + (1 − keep) · value; `value` may be `scratch`, which is used up."""
    np.multiply(average, per_network(keep, average.dtype), out=average)
    np.multiply(value, per_network(1 - np.asarray(keep), average.dtype), out=scratch)
    np.add(average, scratch, out=average)
