"""Penalties on the weights, clipping of the gradient, and a limit on each unit's weights. Knows no optimizer.

Penalties are added once, after the average, and to W alone: never to biases or to what else a layer learns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.arrays import Array, aligned
from workers.mlp.parameters import Parameters
from workers.mlp.scalars import asked, beside, per_network


@dataclass(eq=False)
class Regularization:
    """What of it a job asks for; None and 0 ask for nothing. All of a population ask for it, or none does."""

    l1: ArrayLike = 0.0
    l2: ArrayLike = 0.0
    clip_value: ArrayLike | None = None  # the most that any number of the gradient may be
    clip_norm: ArrayLike | None = None  # the most that the norm of the whole gradient may be
    max_norm: ArrayLike | None = None  # the most that the norm of the weights into one unit may be

    def __post_init__(self) -> None:
        self._memory: Array | None = None

    def shape_gradient(self, parameters: Parameters, gradient: Parameters) -> None:
        """Add the penalties to an averaged gradient, then clip it."""
        if asked(self.l1) or asked(self.l2):
            self._penalize(parameters, gradient)
        g = gradient.trained
        if self.clip_value is not None:
            limit = per_network(self.clip_value, g.dtype)
            np.clip(g, -limit, limit, out=g)
        if self.clip_norm is not None:
            share = np.minimum(np.asarray(self.clip_norm) / (self._global_norm(gradient) + 1e-6), 1.0)
            np.multiply(g, beside(share.astype(g.dtype)), out=g)

    def penalty(self, parameters: Parameters) -> float:
        """Return ½ l2 Σ W², of one network: what `l2` adds to the loss where its value counts."""
        if not asked(self.l2):
            return 0.0
        squares = sum(float(self._squares(weights).sum(dtype=np.float64)) for weights in parameters.W)
        return float(np.asarray(self.l2)) / 2 * squares

    def limit_weights(self, parameters: Parameters) -> None:
        """Scale the weights into a unit down where their norm is beyond the limit.

        Source: Srivastava et al., Dropout (2014), section 5.1, on the columns of W.
        """
        if self.max_norm is None:
            return
        for weights in parameters.W:
            norm = np.sqrt(self._squares(weights).sum(axis=-2, keepdims=True))
            most, least = per_network(self.max_norm, weights.dtype, 2), weights.dtype.type(1e-30)
            np.multiply(weights, np.minimum(most / np.maximum(norm, least), 1), out=weights)

    def _penalize(self, parameters: Parameters, gradient: Parameters) -> None:
        """g ← g + l2 · W + l1 · sign(W): the gradients of ½ l2 Σ W² and l1 Σ |W|."""
        for weights, g in zip(parameters.W, gradient.W, strict=True):
            penalty = self._room(weights)
            if asked(self.l2):
                np.add(g, np.multiply(weights, per_network(self.l2, g.dtype, 2), out=penalty), out=g)
            if asked(self.l1):
                np.multiply(np.sign(weights, out=penalty), per_network(self.l1, g.dtype, 2), out=penalty)
                np.add(g, penalty, out=g)

    def _global_norm(self, gradient: Parameters) -> Array:
        """Return the norm of all that is trained: each array in the precision, then float64 in the arrays' order.

        Shapes: `networks`.
        """
        total = np.zeros(gradient.networks)
        for array in gradient.trained_arrays():
            total += self._squares(array).sum(axis=tuple(range(len(gradient.networks), array.ndim)))
        return np.asarray(np.sqrt(total))

    def _squares(self, array: Array) -> Array:
        return np.multiply(array, array, out=self._room(array))

    def _room(self, like: Array) -> Array:
        if self._memory is None or self._memory.size < like.size or self._memory.dtype != like.dtype:
            self._memory = aligned(like.size, like.dtype)
        return self._memory[: like.size].reshape(like.shape)
