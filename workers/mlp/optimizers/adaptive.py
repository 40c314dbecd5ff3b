"""Optimizers that scale each weight's step by the squares of its gradients. Know neither network nor data.

Defaults, and the places of ε, are PyTorch's. t is the number of the step, from 1; nothing of it is carried.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.arrays import Array
from workers.mlp.optimizers.base import DECAY, SHARE, SMALL, Optimizer, follow
from workers.mlp.scalars import asked, per_network


@dataclass(eq=False)
class Adagrad(Optimizer):
    """Steps shrink with the sum of all squares so far.

        s ← s + g²;  p ← p − rate / (1 + (t − 1) · rate_decay) · g / (√s + ε)

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods (2011).
    """

    name = "adagrad"
    default_rate = 0.01
    state_arrays = 1

    rate_decay: ArrayLike = field(default=0.0, metadata=DECAY)
    epsilon: ArrayLike = field(default=1e-10, metadata=SMALL)
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow g / √s."""
        self.decay(p, g, self.weight_decay)
        (squares,), scratch = state, self.scratch(p)
        np.add(squares, np.multiply(g, g, out=scratch), out=squares)
        np.add(np.sqrt(squares, out=scratch), per_network(self.epsilon, p.dtype), out=scratch)
        np.divide(g, scratch, out=g)
        self.take(p, g, np.asarray(rate) / (1 + (np.asarray(step) - 1) * np.asarray(self.rate_decay)))


@dataclass(eq=False)
class RMSprop(Optimizer):
    """Steps shrink with a running mean of squares; centred, with the variance instead.

        s ← α s + (1 − α) g²;  centred: m ← α m + (1 − α) g and s − m² for s
        d = g / (√s + ε);  with momentum v ← momentum · v + d and v for d;  p ← p − rate · d

    Source: Tieleman and Hinton, Lecture 6.5, RMSprop (2012); centred: Graves (2013).
    """

    name = "rmsprop"
    default_rate = 0.01
    scratch_arrays = 2

    alpha: ArrayLike = field(default=0.99, metadata=SHARE)
    epsilon: ArrayLike = field(default=1e-8, metadata=SMALL)
    centered: bool = False
    momentum: ArrayLike = field(default=0.0, metadata=SHARE)
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def state_count(self) -> int:
        """Return 1 for the mean square; one more for the mean if centred, and for the velocity if there is momentum."""
        return 1 + self.centered + int(asked(self.momentum))

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow g / √s."""
        self.decay(p, g, self.weight_decay)
        square, scratch, spread = state[0], self.scratch(p), self.scratch(p, 1)
        follow(square, np.multiply(g, g, out=scratch), self.alpha, scratch)
        np.copyto(spread, square)
        if self.centered:
            follow(state[1], g, self.alpha, scratch)
            np.subtract(spread, np.multiply(state[1], state[1], out=scratch), out=spread)
            np.maximum(spread, 0, out=spread)  # a gradient that stays the same has a variance of 0, but for rounding
        np.add(np.sqrt(spread, out=spread), per_network(self.epsilon, p.dtype), out=spread)
        velocity = np.divide(g, spread, out=g)
        if asked(self.momentum):
            velocity = state[-1]
            np.multiply(velocity, per_network(self.momentum, p.dtype), out=velocity)
            np.add(velocity, g, out=velocity)
        self.take(p, velocity, rate, change=g)


@dataclass(eq=False)
class Adadelta(Optimizer):
    """Steps in the units of the weights: by the ratio of running means of squared steps and squared gradients.

        s ← ρ s + (1 − ρ) g²;  d = √(u + ε) / √(s + ε) · g;  u ← ρ u + (1 − ρ) d²;  p ← p − rate · d

    Source: Zeiler, ADADELTA: an adaptive learning rate method (2012).
    """

    name = "adadelta"
    default_rate = 1.0
    state_arrays = 2

    rho: ArrayLike = field(default=0.9, metadata=SHARE)
    epsilon: ArrayLike = field(default=1e-6, metadata=SMALL)
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow d."""
        self.decay(p, g, self.weight_decay)
        (square, steps), scratch = state, self.scratch(p)
        epsilon = per_network(self.epsilon, p.dtype)
        follow(square, np.multiply(g, g, out=scratch), self.rho, scratch)
        np.sqrt(np.add(square, epsilon, out=scratch), out=scratch)
        np.divide(g, scratch, out=g)
        np.sqrt(np.add(steps, epsilon, out=scratch), out=scratch)
        np.multiply(g, scratch, out=g)
        follow(steps, np.multiply(g, g, out=scratch), self.rho, scratch)
        self.take(p, g, rate)
