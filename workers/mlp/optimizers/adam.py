"""Adam and what became of it. Know neither network nor data.

Defaults, and the places of ε, are PyTorch's. t is the number of the step, from 1; nothing of it is carried.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.arrays import Array
from workers.mlp.optimizers.base import DECAY, SHARE, SMALL, Optimizer, follow
from workers.mlp.scalars import asked, per_network, raised


@dataclass(eq=False)
class Adam(Optimizer):
    """Running means of the gradient and its square, both corrected for their beginning at 0.

        m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  amsgrad: the largest v so far for v
        p ← p − rate / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)

    Source: Kingma and Ba, Adam (2015), with ε as PyTorch places it; amsgrad: Reddi, Kale and Kumar (2018).
    """

    name = "adam"
    default_rate = 1e-3

    beta1: ArrayLike = field(default=0.9, metadata=SHARE)
    beta2: ArrayLike = field(default=0.999, metadata=SHARE)
    epsilon: ArrayLike = field(default=1e-8, metadata=SMALL)
    amsgrad: bool = False
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def state_count(self) -> int:
        """Return 2 for m and v, and with amsgrad 3 for the largest v."""
        return 2 + self.amsgrad

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow m / √v."""
        self.pull(p, g, rate)
        direction = self._direction(g, state, step)
        self.take(p, direction, np.asarray(rate) / (1 - raised(self.beta1, step)))

    def pull(self, p: Array, g: Array, rate: ArrayLike) -> None:
        """Have the weights decay by way of the gradient."""
        self.decay(p, g, self.weight_decay)

    def _direction(self, g: Array, state: list[Array], step: ArrayLike) -> Array:
        """Take g into m and v; return m / (√v̂ + ε) in g's place, m not corrected."""
        mean, square, scratch = state[0], state[1], self.scratch(g)
        follow(mean, g, self.beta1, scratch)
        follow(square, np.multiply(g, g, out=scratch), self.beta2, scratch)
        if self.amsgrad:
            square = np.maximum(state[2], square, out=state[2])
        correction = per_network(np.sqrt(1 - raised(self.beta2, step)), g.dtype)
        np.divide(np.sqrt(square, out=scratch), correction, out=scratch)
        np.add(scratch, per_network(self.epsilon, g.dtype), out=scratch)
        return np.divide(mean, scratch, out=g)


@dataclass(eq=False)
class AdamW(Adam):
    """Adam with the decay taken from the weights themselves: p ← p − rate · weight_decay · p, before its step.

    Source: Loshchilov and Hutter, Decoupled weight decay regularization (2019).
    """

    name = "adamw"

    weight_decay: ArrayLike = field(default=0.01, metadata=DECAY)

    def pull(self, p: Array, g: Array, rate: ArrayLike) -> None:
        """Have the weights decay by themselves."""
        if asked(self.weight_decay):
            np.multiply(p, per_network(1 - np.asarray(rate) * np.asarray(self.weight_decay), p.dtype), out=p)


@dataclass(eq=False)
class Nadam(Optimizer):
    """Adam with Nesterov's look ahead, its momentum warmed up.

        μₜ = β₁ (1 − ½ · 0.96^(t · momentum_decay));  m, v as Adam's;  d = √(v / (1 − β₂ᵗ)) + ε
        p ← p − rate · ((1 − μₜ) / (1 − Πμ₁…ₜ) · g + μₜ₊₁ / (1 − Πμ₁…ₜ₊₁) · m) / d

    Source: Dozat, Incorporating Nesterov momentum into Adam (2016).
    """

    name = "nadam"
    default_rate = 2e-3
    state_arrays = 2
    scratch_arrays = 2

    beta1: ArrayLike = field(default=0.9, metadata=SHARE)
    beta2: ArrayLike = field(default=0.999, metadata=SHARE)
    epsilon: ArrayLike = field(default=1e-8, metadata=SMALL)
    momentum_decay: ArrayLike = field(default=4e-3, metadata=DECAY)
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def __post_init__(self) -> None:
        self._products: dict[int, tuple[int, float]] = {}  # of each network, the last t that was asked for and Πμ₁…ₜ

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow g and m, both over √v."""
        self.decay(p, g, self.weight_decay)
        (mean, square), scratch, spread = state, self.scratch(p), self.scratch(p, 1)
        follow(mean, g, self.beta1, scratch)
        follow(square, np.multiply(g, g, out=scratch), self.beta2, scratch)
        np.divide(square, per_network(1 - raised(self.beta2, step), p.dtype), out=spread)
        np.add(np.sqrt(spread, out=spread), per_network(self.epsilon, p.dtype), out=spread)
        product, now, then = self._momenta(step)
        rates = np.asarray(rate)
        np.divide(g, spread, out=g)
        self.take(p, g, rates * (1 - now) / (1 - product))
        self.take(p, np.divide(mean, spread, out=g), rates * then / (1 - product * then))

    def _momenta(self, step: ArrayLike) -> tuple[Array, Array, Array]:
        """Return Πμ₁…ₜ, μₜ and μₜ₊₁ of each network."""
        places = np.broadcast(self.beta1, self.momentum_decay, step)
        found = [
            self._momenta_of(network, int(t), float(beta), float(decay))
            for network, (beta, decay, t) in enumerate(places)
        ]
        product, now, then = (np.reshape(each, places.shape) for each in zip(*found, strict=True))
        return product, now, then

    def _momenta_of(self, network: int, step: int, beta: float, decay: float) -> tuple[float, float, float]:
        """Return one network's: the product in the order of the steps, from wherever it is known."""

        def momentum(number: int) -> float:
            return float(beta * (1 - 0.5 * 0.96 ** (number * decay)))

        known, product = self._products.get(network, (0, 1.0))
        if known > step:
            known, product = 0, 1.0
        for number in range(known + 1, step + 1):
            product *= momentum(number)
        self._products[network] = (step, product)
        return product, momentum(step), momentum(step + 1)
