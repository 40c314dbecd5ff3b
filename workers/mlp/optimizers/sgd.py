"""Gradient descent. Knows neither network nor data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.arrays import Array
from workers.mlp.optimizers.base import DECAY, SHARE, Optimizer
from workers.mlp.scalars import asked, per_network


@dataclass(eq=False)
class SGD(Optimizer):
    """Gradient descent with momentum, Nesterov and weight decay, as PyTorch's SGD has them (dampening 0).

        g ← g + weight_decay · p
        v ← momentum · v + g                          v begins as 0, so that the first step's is g
        p ← p − rate · (v, or g + momentum · v with Nesterov; g without momentum)

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning (2013), as PyTorch does.
    """

    name = "sgd"

    momentum: ArrayLike = field(default=0.0, metadata=SHARE)
    nesterov: bool = False
    weight_decay: ArrayLike = field(default=0.0, metadata=DECAY)

    def __post_init__(self) -> None:
        if self.nesterov and not np.all(self.momentum):
            raise ValueError(f"nesterov with momentum: {self.momentum}; allowed: above 0")

    def state_count(self) -> int:
        """Return 1 for the velocity; 0 without momentum."""
        return int(asked(self.momentum))

    def scratch_count(self) -> int:
        """Return 1 for what decays or looks ahead."""
        return int(self.nesterov or asked(self.weight_decay))

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow the gradient, or the velocity."""
        self.decay(p, g, self.weight_decay)
        if not state:
            self.take(p, g, rate)
            return
        (v,), momentum = state, per_network(self.momentum, g.dtype)
        np.multiply(v, momentum, out=v)
        np.add(v, g, out=v)
        if self.nesterov:
            np.add(g, np.multiply(v, momentum, out=self.scratch(g)), out=g)
        self.take(p, g if self.nesterov else v, rate, change=g)
