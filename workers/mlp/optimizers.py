"""The update of the weights from summed gradients. Knows neither network nor data; works on flat arrays alone.

Scalars are Python's float64 and cast once to the precision; of a population each may be an array of shape `networks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from workers.mlp.arrays import Array, aligned, quietly
from workers.mlp.parameters import Parameters


@dataclass(eq=False)
class SGD:
    """Gradient descent with momentum, Nesterov and weight decay, as PyTorch's SGD has them (dampening 0).

        g ← Σ gradients / Σ w + weight_decay · p      on every parameter, biases too
        v ← momentum · v + g                          v begins as 0, so that the first step's is g
        p ← p − rate · (v, or g + momentum · v with Nesterov; g without momentum)

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning (2013), as PyTorch does.
    """

    learning_rate: ArrayLike
    momentum: ArrayLike = 0.0
    nesterov: bool = False
    weight_decay: ArrayLike = 0.0
    _scratch: Array | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.nesterov and not np.all(self.momentum):
            raise ValueError(f"nesterov with momentum: {self.momentum}; allowed: above 0")

    def state(self, parameters: Parameters) -> list[Array]:
        """Return the arrays that an optimizer carries from step to step: the velocity, and none without momentum."""
        return [aligned(parameters.flat.shape, parameters.flat.dtype)] if np.any(self.momentum) else []

    @quietly
    def update(
        self, parameters: Parameters, gradient_sum: Parameters, weight_sum: ArrayLike, state: list[Array]
    ) -> None:
        """Change the parameters and the state in place; `gradient_sum` is used up, it ends as the step taken.

        A mini-batch without weight changes nothing.
        """
        weightless = np.equal(weight_sum, 0)
        if weightless.all():
            return
        kept = [(array, array[weightless].copy()) for array in (parameters.flat, *state) if weightless.any()]
        p, g = parameters.flat, gradient_sum.flat
        np.divide(g, per_network(np.where(weightless, 1.0, weight_sum), p.dtype), out=g)
        self._decay(p, g)
        if state:
            self._follow_velocity(state[0], g)
        np.multiply(g, per_network(self.learning_rate, p.dtype), out=g)
        np.subtract(p, g, out=p)
        for array, before in kept:
            array[weightless] = before

    def _decay(self, p: Array, g: Array) -> None:
        if np.any(self.weight_decay):
            scratch = self._scratch_like(p)
            np.multiply(p, per_network(self.weight_decay, p.dtype), out=scratch)
            np.add(g, scratch, out=g)

    def _follow_velocity(self, v: Array, g: Array) -> None:
        """Take g into the velocity, and turn it into the direction of the step."""
        momentum = per_network(self.momentum, g.dtype)
        np.multiply(v, momentum, out=v)
        np.add(v, g, out=v)
        if not self.nesterov:
            np.copyto(g, v)
            return
        scratch = self._scratch_like(g)
        np.multiply(v, momentum, out=scratch)
        np.add(g, scratch, out=g)

    def _scratch_like(self, array: Array) -> Array:
        if self._scratch is None or self._scratch.shape != array.shape or self._scratch.dtype != array.dtype:
            self._scratch = aligned(array.shape, array.dtype)
        return self._scratch


def per_network(scalar: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Return float64 scalars cast once to the precision, shaped to stand beside (…, size)."""
    return np.asarray(scalar, np.float64).astype(dtype)[..., np.newaxis]
