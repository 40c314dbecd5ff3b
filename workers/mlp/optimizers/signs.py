"""Optimizers that go by the gradient's sign. Know neither network nor data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.arrays import Array
from workers.mlp.optimizers.adaptive import DECAY, SHARE
from workers.mlp.optimizers.base import Optimizer, follow, per_network


@dataclass(eq=False)
class Lion(Optimizer):
    """Steps of one size, in the direction of a mean that leans to the present gradient; the decay as AdamW's.

        p ← p − rate · (sign(β₁ m + (1 − β₁) g) + weight_decay · p);  m ← β₂ m + (1 − β₂) g

    Source: Chen et al., Symbolic discovery of optimization algorithms (2023).
    """

    name = "lion"
    default_rate = 1e-4
    state_arrays = 1

    beta1: float = field(default=0.9, metadata=SHARE)
    beta2: float = field(default=0.99, metadata=SHARE)
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: int) -> None:
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

        at first the step is the rate; then times η⁺ where g gᵗ⁻¹ > 0, times η⁻ where g gᵗ⁻¹ < 0, within its bounds
        p ← p − sign(g) · step, with g taken as 0 where the sign has turned

    Source: Riedmiller and Braun, A direct adaptive method for faster backpropagation learning (1993), as PyTorch does.
    """

    name = "rprop"
    default_rate = 0.01
    full_batch = True
    state_arrays = 2

    eta_minus: float = field(default=0.5, metadata={"above": 0, "below": 1})
    eta_plus: float = field(default=1.2, metadata={"above": 1, "most": 100})
    step_least: float = field(default=1e-6, metadata={"above": 0, "most": 1e9})
    step_most: float = field(default=50.0, metadata={"above": 0, "most": 1e9})

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: int) -> None:
        """Follow the sign, by each weight's own step."""
        (before, steps), turned = state, self.scratch(p)
        number = p.dtype.type
        if step == 1:
            steps[...] = per_network(rate, p.dtype)
        np.sign(np.multiply(g, before, out=turned), out=turned)
        np.copyto(before, g)
        before[turned < 0] = 0
        factor = np.where(turned > 0, number(self.eta_plus), np.where(turned < 0, number(self.eta_minus), number(1)))
        np.multiply(steps, factor, out=steps)
        np.clip(steps, number(self.step_least), number(self.step_most), out=steps)
        np.multiply(np.sign(before, out=turned), steps, out=turned)
        np.subtract(p, turned, out=p)
