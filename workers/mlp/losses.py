"""The losses: each sample's value, and the output delta = ∂E/∂z with which backpropagation begins. Know no weights.

Where a pair of loss and output activation has numerics of its own, the pair is one class. Values and deltas of all
that has a logarithm come from the net input z and not from the output o: in float32 sigmoid(17) is exactly 1, so that
ln(1 − o) would be infinite, and a confident wrong sample would lose its gradient.

    loss            E of one sample                              output activations     matched
    squared_error   ½ Σ (oₖ − yₖ)²                               all                    identity
    log_loss        −Σ yₖ ln oₖ + (1 − yₖ) ln(1 − oₖ)            sigmoid, softmax       sigmoid
    cross_entropy   −Σ yₖ ln(oₖ / Σⱼ oⱼ),  where Σ yₖ = 1        softmax, sigmoid       softmax

The matched pairs have delta = o − y. The logarithms want outputs inside (0, 1), which identity, tanh and relu leave.
Cross-entropy compares two distributions: softmax outputs are one, sigmoid outputs are read as one by dividing them by
their sum (as Keras does); taken singly they would all be pushed towards 1 and none back. Softmax, and cross-entropy,
over a single unit are constant, so both need two units or more.

Shapes: z, o, y, out and the workspace's planes are (…, samples, units); values are (…, samples).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from workers.mlp.activations import ACTIVATIONS, Activation
from workers.mlp.arrays import Array, Workspace


class Loss(ABC):
    """What a network's output costs, and how the cost changes with the output layer's net input."""

    classes: ClassVar[bool] = True

    @abstractmethod
    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write each sample's loss, the sum over its outputs, into `out` (…, samples)."""

    @abstractmethod
    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write ∂E/∂z of each sample's loss into `out` (…, samples, units)."""


class SquaredError(Loss):
    """Half the squared distance, on any output activation."""

    classes = False

    def __init__(self, activation: Activation) -> None:
        self._activation = activation

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = ½ Σ (oₖ − yₖ)²."""
        np.subtract(o, y, out=work.first)
        np.multiply(work.first, work.first, out=work.first)
        work.first.sum(axis=-1, out=out)
        np.multiply(out, 0.5, out=out)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = oₖ − yₖ, then back through the output activation, whichever it is."""
        np.subtract(o, y, out=out)
        self._activation.backward(z, o, out, work)


class MatchedDelta(Loss):
    """The pairs whose f′ cancels against the loss's denominator."""

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂z = o − y."""
        np.subtract(o, y, out=out)


class LogLossOfSigmoid(MatchedDelta):
    """Log loss of independent units, each the probability of its own 1."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ softplus(zₖ) − yₖ zₖ, since −ln o = softplus(z) − z and −ln(1 − o) = softplus(z)."""
        log_loss_of_log_odds(z, y, out, work)


class LogLossOfSoftmax(Loss):
    """An output of softmax is the sigmoid of its log-odds against all others, tₖ = zₖ − restₖ, restₖ = ln Σ_{j≠k} e^zⱼ.

    So E = Σ softplus(tₖ) − yₖ tₖ, and with dₖ = ∂E/∂tₖ = oₖ − yₖ and ∂tₖ/∂zᵢ = −e^(zᵢ − restₖ) for i ≠ k

        ∂E/∂zᵢ = dᵢ − Σ_{k≠i} dₖ e^(zᵢ − restₖ),  every factor at most 1.

    restₖ is at least z's largest, m, unless unit k leads all others. So each sum over k needs no square matrix:
    e^(zᵢ − restₖ) = e^(zᵢ − m) e^(m − restₖ), and a leader's term stands alone.
    """

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ softplus(tₖ) − yₖ tₖ."""
        np.subtract(z, log_sum_of_the_others(z, work), out=work.third)
        log_loss_of_log_odds(work.third, y, out, work)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂zᵢ = dᵢ − Σ_{k≠i} dₖ e^(zᵢ − restₖ), the leader apart."""
        leads, factor, _, m, column = work
        rest = log_sum_of_the_others(z, work)
        z.max(axis=-1, keepdims=True, out=m)
        np.subtract(o, y, out=out)
        np.less(rest, m, out=leads)  # 1 at a leader, else 0

        np.multiply(rest, leads, out=factor)
        factor.sum(axis=-1, keepdims=True, out=column)
        np.exp(np.minimum(np.subtract(z, column, out=factor), 0, out=factor), out=factor)  # e^(zᵢ − rest of the leader)
        d = np.exp(np.minimum(np.subtract(m, rest, out=rest), 0, out=rest), out=rest)  # e^(m − restₖ), 1 at a leader
        np.multiply(d, out, out=d)
        d_of_leader = np.multiply(d, leads, out=leads)
        np.subtract(d, d_of_leader, out=d)
        subtract_the_others(d_of_leader, factor, out, column)

        np.exp(np.subtract(z, m, out=factor), out=factor)
        subtract_the_others(d, factor, out, column)


class CrossEntropyOfSoftmax(MatchedDelta):
    """Cross-entropy of the distribution that softmax makes."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ yₖ (ln Σⱼ e^zⱼ − zₖ)."""
        cross_entropy_of_logits(z, y, out, work)


class CrossEntropyOfSigmoid(Loss):
    """Cross-entropy of sigmoid outputs read as a distribution, p = o / Σ o."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """p is the softmax of ln oₖ = −softplus(−zₖ)."""
        cross_entropy_of_logits(log_sigmoid(z, work), y, out, work)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂zₖ = (pₖ − yₖ)(1 − oₖ), since d ln o / dz = 1 − o; it is kept above 0, where two units are both sure."""
        ACTIVATIONS["softmax"].apply(log_sigmoid(z, work), out, work)
        np.subtract(out, y, out=out)
        np.negative(z, out=work.first)
        ACTIVATIONS["sigmoid"].apply(work.first, work.first, work)  # 1 − o, also where o has become exactly 1
        np.maximum(work.first, np.finfo(z.dtype).epsneg, out=work.first)
        np.multiply(out, work.first, out=out)


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


def cross_entropy_of_logits(z: Array, y: Array, out: Array, work: Workspace) -> None:
    """Write ln Σⱼ e^zⱼ − Σ yₖ zₖ, both beside the largest zₖ; overwrites the first two planes and the columns."""
    first, second, _, column, other = work
    z.max(axis=-1, keepdims=True, out=column)
    np.subtract(z, column, out=first)
    np.multiply(y, first, out=second)
    second.sum(axis=-1, keepdims=True, out=other)
    np.exp(first, out=first)
    first.sum(axis=-1, keepdims=True, out=column)
    np.log(column, out=column)
    np.subtract(column[..., 0], other[..., 0], out=out)


def subtract_the_others(d: Array, factor: Array, out: Array, column: Array) -> None:
    """outᵢ ← outᵢ − factorᵢ Σ_{k≠i} dₖ; overwrites d, factor and column."""
    d.sum(axis=-1, keepdims=True, out=column)
    np.subtract(column, d, out=d)
    np.multiply(factor, d, out=factor)
    np.subtract(out, factor, out=out)


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


MATCHED = {"squared_error": "identity", "log_loss": "sigmoid", "cross_entropy": "softmax"}

PAIRS: dict[tuple[str, str], Loss] = {
    **{("squared_error", name): SquaredError(activation) for name, activation in ACTIVATIONS.items()},
    ("log_loss", "sigmoid"): LogLossOfSigmoid(),
    ("log_loss", "softmax"): LogLossOfSoftmax(),
    ("cross_entropy", "softmax"): CrossEntropyOfSoftmax(),
    ("cross_entropy", "sigmoid"): CrossEntropyOfSigmoid(),
}


def allowed_activations(loss: str) -> tuple[str, ...]:
    """Return the output activations whose range the loss allows."""
    return tuple(activation for of_loss, activation in PAIRS if of_loss == loss)


def minimum_outputs(loss: str, activation: str) -> int:
    """Return how many output units the pair needs: two where one alone would be constant, else one."""
    return 2 if loss == "cross_entropy" or activation == "softmax" else 1


def find_loss(loss: str, activation: str) -> Loss:
    """Return the loss as it is computed on outputs of an activation.

    Raises: ValueError that names both where the outputs leave the loss's domain.
    """
    try:
        return PAIRS[loss, activation]
    except KeyError:
        allowed = ", ".join(allowed_activations(loss)) or f"none: the losses are {', '.join(MATCHED)}"
        raise ValueError(f"loss {loss!r} on output activation {activation!r}; allowed: {allowed}") from None
