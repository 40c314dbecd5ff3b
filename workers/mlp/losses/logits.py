"""Sums of logarithms, from the net inputs of the outputs. Know no loss.

Shapes: z, t, y and the workspace's planes are (…, samples, units); `out` is (…, samples).
"""

from __future__ import annotations

import numpy as np

from workers.mlp.arrays import Array, Workspace


def log_loss_of_log_odds(t: Array, y: Array, out: Array, work: Workspace) -> None:
    """Write Σ softplus(tₖ) − yₖ tₖ, with softplus(t) = max(t, 0) + ln(1 + e^−|t|); overwrites the first two planes."""
    first, second = work.first, work.second
    np.multiply(y, t, out=first)
    np.maximum(t, 0, out=second)
    np.subtract(second, first, out=second)
    np.negative(np.absolute(t, out=first), out=first)
    np.log1p(np.exp(first, out=first), out=first)
    np.add(second, first, out=second)
    second.sum(axis=-1, out=out)


def cross_entropy_of_logits(
    z: Array, y: Array, smoothing: float, out: Array, work: Workspace, softmax: Array | None = None
) -> None:
    """Write ln Σⱼ e^zⱼ − Σ yₖ zₖ, both beside the largest zₖ; overwrites the first two planes and the columns.

    With smoothing ε each yₖ counts as (1 − ε) yₖ + ε / units. `softmax` gets e^zₖ / Σⱼ e^zⱼ, if it is given.
    """
    first, second, _, column, other = work
    z.max(axis=-1, keepdims=True, out=column)
    np.subtract(z, column, out=first)
    np.multiply(smoothed(y, smoothing, second), first, out=second)
    second.sum(axis=-1, keepdims=True, out=other)
    np.exp(first, out=first)
    first.sum(axis=-1, keepdims=True, out=column)
    if softmax is not None:
        np.divide(first, column, out=softmax)
    np.log(column, out=column)
    np.subtract(column[..., 0], other[..., 0], out=out)


def smoothed(y: Array, smoothing: float, out: Array) -> Array:
    """Return (1 − ε) y + ε / units, written into `out`; without smoothing y itself."""
    if not smoothing:
        return y
    np.multiply(y, 1 - smoothing, out=out)
    np.add(out, smoothing / y.shape[-1], out=out)
    return out


def log_sigmoid(z: Array, work: Workspace) -> Array:
    """Return ln sigmoid(z) = −softplus(−z) in the third plane."""
    third = work.third
    np.negative(z, out=third)
    np.logaddexp(third, 0, out=third)
    return np.negative(third, out=third)


def log_sum_of_the_others(z: Array, work: Workspace) -> Array:
    """Return restₖ = ln Σ_{j≠k} e^zⱼ in the third plane, from sums over the units before k and those after it."""
    before, after, rest = work.first, work.second, work.third
    np.logaddexp.accumulate(z, axis=-1, out=before)
    np.logaddexp.accumulate(z[..., ::-1], axis=-1, out=after[..., ::-1])
    np.logaddexp(before[..., :-2], after[..., 2:], out=rest[..., 1:-1])
    rest[..., 0] = after[..., 1]
    rest[..., -1] = before[..., -2]
    return rest
