"""Optimizers that go by the gradient's sign. Know neither network nor data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workers.mlp.arrays import Array
from workers.mlp.optimizers.base import DECAY, SHARE, Optimizer, follow
from workers.mlp.parameters import Parameters
from workers.mlp.scalars import per_network


@dataclass(eq=False)
class Lion(Optimizer):
    """Steps of one size, in the direction of a mean that leans to the present gradient; the decay as AdamW's.

        p ← p − rate · (sign(β₁ m + (1 − β₁) g) + weight_decay · p);  m ← β₂ m + (1 − β₂) g

    Source: Chen et al., Symbolic discovery of optimization algorithms (2023).
    """

    name = "lion"
    default_rate = 1e-4
    scratch_arrays = 2
    state_arrays = 1

    beta1: ArrayLike = field(default=0.9, metadata=SHARE)
    beta2: ArrayLike = field(default=0.99, metadata=SHARE)
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow the sign."""
        (mean,), scratch, direction = state, self.scratch(p), self.scratch(p, 1)
        np.copyto(direction, mean)
        follow(direction, g, self.beta1, scratch)
        follow(mean, g, self.beta2, scratch)
        np.sign(direction, out=direction)
        self.decay(p, direction, self.weight_decay)
        self.take(p, direction, rate)


@dataclass(eq=False)
class Rprop(Optimizer):
    """Each weight has a step of its own, longer while its gradient keeps its sign, shorter when that turns.

        step begins as the rate; times η⁺ where g gᵗ⁻¹ > 0, times η⁻ where g gᵗ⁻¹ < 0, within its bounds
        p ← p − sign(g) · step, with g taken as 0 where the sign has turned

    No schedule steers it, since the rate is only where the steps begin.
    Source: Riedmiller and Braun, A direct adaptive method for faster backpropagation learning (1993), as PyTorch does.
    """

    name = "rprop"
    default_rate = 0.01
    full_batch = True
    state_arrays = 2

    eta_minus: ArrayLike = field(default=0.5, metadata={"above": 0, "below": 1})
    eta_plus: ArrayLike = field(default=1.2, metadata={"above": 1, "most": 100})
    step_least: ArrayLike = field(default=1e-6, metadata={"above": 0, "most": 1e9})
    step_most: ArrayLike = field(default=50.0, metadata={"above": 0, "most": 1e9})

    def __post_init__(self) -> None:
        self._truths = np.empty(0, np.bool_)

    def state(self, parameters: Parameters) -> list[Array]:
        """Return the gradient of the step before, 0 at first, and the steps."""
        before, steps = super().state(parameters)
        steps[...] = per_network(self.learning_rate, steps.dtype)
        return [before, steps]

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow the sign, by each weight's own step."""
        (before, steps), sign, where = state, self.scratch(p), self._room_for_truths(p)
        shorter, longer, least, most = (
            per_network(scalar, p.dtype) for scalar in (self.eta_minus, self.eta_plus, self.step_least, self.step_most)
        )
        np.sign(np.multiply(g, before, out=sign), out=sign)
        np.copyto(before, g)
        np.multiply(steps, longer, out=steps, where=np.greater(sign, 0, out=where))
        np.multiply(steps, shorter, out=steps, where=np.less(sign, 0, out=where))
        np.copyto(before, 0, where=where)
        np.clip(steps, least, most, out=steps)
        np.multiply(np.sign(before, out=sign), steps, out=sign)
        np.subtract(p, sign, out=p)

    def _room_for_truths(self, like: Array) -> NDArray[np.bool_]:
        if self._truths.shape != like.shape:
            self._truths = np.empty(like.shape, np.bool_)
        return self._truths
