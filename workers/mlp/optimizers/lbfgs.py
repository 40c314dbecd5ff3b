"""L-BFGS: the gradient, turned by the curvature that the last steps have shown. Knows neither network nor data.

A step of it is a search along the direction, each evaluation of which needs all rows: the parameter server's.
Products of vectors are float64 sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from workers.mlp.arrays import Array, aligned
from workers.mlp.optimizers.base import Optimizer
from workers.mlp.parameters import Parameters


@dataclass(eq=False)
class LBFGS(Optimizer):
    """Steps of a quasi-Newton method that remembers `history` of them; `learning_rate` is the length tried first.

        sₖ = pₖ₊₁ − pₖ;  yₖ = gₖ₊₁ − gₖ;  ρₖ = 1 / sₖ·yₖ
        q ← g;  newest to oldest:  αₖ = ρₖ sₖ·q;  q ← q − αₖ yₖ
        q ← (s·y / y·y of the newest) q
        oldest to newest:  q ← q + (αₖ − ρₖ yₖ·q) sₖ;  the direction is −q

    It ends where no number of the gradient is above `gradient_tolerance`, or after a step that made the function
    smaller by no more than `change_tolerance`, a share of its value where that is above 1.
    Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5.
    """

    name = "lbfgs"
    default_rate = 1.0
    full_batch = True
    scratch_arrays = 4

    history: int = field(default=10, metadata={"least": 1, "most": 100})
    max_evaluations: int = field(default=25, metadata={"least": 1, "most": 1000})
    gradient_tolerance: float = field(default=1e-7, metadata={"least": 0, "most": 1})
    change_tolerance: float = field(default=1e-9, metadata={"least": 0, "most": 1})

    def state_count(self) -> int:
        """Return 2 for each step that is remembered."""
        return 2 * self.history

    def state(self, parameters: Parameters) -> list[Array]:
        """Return the last steps and the changes of the gradient over them: the oldest first, 0 where there is none yet.

        Shapes: (history, trained size) each.
        """
        shape = (self.history, *parameters.trained.shape)
        return [aligned(shape, parameters.flat.dtype) for _ in range(2)]

    def descend(self, p: Array, g: Array, state: list[Array], rate: ArrayLike, step: ArrayLike) -> None:
        """Follow the direction by the rate, without a search; the history stays as it is."""
        self.turn(g, state)
        self.take(p, np.negative(g, out=g), rate)

    def flat(self, g: Array) -> bool:
        """Whether the gradient is small enough to end."""
        return float(np.abs(g, out=self.scratch(g)).max()) <= self.gradient_tolerance

    def hardly_changed(self, before: float, after: float) -> bool:
        """Whether the function's value changed so little that it ends. Source: SciPy's L-BFGS-B, `ftol`."""
        return before - after <= self.change_tolerance * max(abs(before), abs(after), 1.0)

    def turn(self, q: Array, state: list[Array]) -> None:
        """Turn a gradient into the direction that it gives, in place."""
        scratch = self.scratch(q)
        kept = [(s, y, dot(s, y, scratch)) for s, y in zip(*state, strict=True)]
        pairs = [pair for pair in kept if pair[2] > 0]
        shares: list[float] = []
        for s, y, product in reversed(pairs):
            shares.append(dot(s, q, scratch) / product)
            _add(q, y, -shares[-1], scratch)
        if pairs:
            _, newest, product = pairs[-1]
            np.multiply(q, q.dtype.type(product / dot(newest, newest, scratch)), out=q)
        for (s, y, product), share in zip(pairs, reversed(shares), strict=True):
            _add(q, s, share - dot(y, q, scratch) / product, scratch)
        np.negative(q, out=q)

    def remember(self, state: list[Array], s: Array, y: Array) -> None:
        """Keep a step and the gradient's change in place of the oldest, if the function curves upwards over it."""
        scratch = self.scratch(s)
        product, square = dot(s, y, scratch), dot(y, y, scratch)
        if not square or product <= np.finfo(np.float64).eps * square:  # a square may be too small for the precision
            return
        for kept, newest in zip(state, (s, y), strict=True):
            for age in range(len(kept) - 1):  # row by row: NumPy would copy what overlaps
                np.copyto(kept[age], kept[age + 1])
            np.copyto(kept[-1], newest)


def dot(one: Array, other: Array, scratch: Array) -> float:
    """Return the sum of products, in float64."""
    return float(np.multiply(one, other, out=scratch).sum(dtype=np.float64))


def _add(target: Array, other: Array, factor: float, scratch: Array) -> None:
    np.add(target, np.multiply(other, target.dtype.type(factor), out=scratch), out=target)
