"""The log loss, −Σ yₖ ln oₖ + (1 − yₖ) ln(1 − oₖ): each output is a probability of its own, of two classes or a label.

Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 5.21.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workers.mlp.arrays import Array, Workspace
from workers.mlp.intervals import BETWEEN_0_AND_1
from workers.mlp.losses.base import Loss, MatchedDelta
from workers.mlp.losses.logits import log_loss_of_log_odds, log_sum_of_the_others


class LogLoss(Loss):
    """The log loss, of one output or, added up, of several."""

    name = "log_loss"
    outputs: ClassVar = {"binary": "sigmoid", "multiclass": "sigmoid", "multilabel": "sigmoid"}
    domain = BETWEEN_0_AND_1
    classes = True


class LogLossOfSigmoid(MatchedDelta, LogLoss, of="sigmoid"):
    """Log loss of independent units, each the probability of its own 1."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ softplus(zₖ) − yₖ zₖ, since −ln o = softplus(z) − z and −ln(1 − o) = softplus(z)."""
        log_loss_of_log_odds(z, y, out, work)


class LogLossOfSoftmax(LogLoss, of="softmax"):
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


def subtract_the_others(d: Array, factor: Array, out: Array, column: Array) -> None:
    """outᵢ ← outᵢ − factorᵢ Σ_{k≠i} dₖ; overwrites d, factor and column."""
    d.sum(axis=-1, keepdims=True, out=column)
    np.subtract(column, d, out=d)
    np.multiply(factor, d, out=factor)
    np.subtract(out, factor, out=out)
