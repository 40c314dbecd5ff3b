"""The focal loss, −(1 − p)^γ ln p with p the probability given to what is true: what is easy counts less.

γ = 0 is the log loss or the cross-entropy. `alpha` balances the classes of a sigmoid unit, α to 1 and 1 − α to 0; with
softmax it multiplies every loss, as in Keras.

Source: Lin et al., Focal loss for dense object detection (2017), eq. 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from workers.mlp.activations import Sigmoid
from workers.mlp.arrays import Array, Workspace
from workers.mlp.intervals import BETWEEN_0_AND_1
from workers.mlp.losses.base import Loss
from workers.mlp.losses.logits import cross_entropy_of_logits


@dataclass(frozen=True)
class Focal(Loss):
    """The focal loss, from the net inputs. With q = 1 − p and L = −ln p, dE/d ln p = −q^(γ−1) (γ p L + q)."""

    name = "focal"
    outputs: ClassVar = {"binary": "sigmoid", "multiclass": "softmax", "multilabel": "sigmoid"}
    domain = BETWEEN_0_AND_1
    classes = True

    gamma: float = field(default=2.0, metadata={"least": 0, "most": 20})
    alpha: float | None = field(default=None, metadata={"above": 0, "below": 1})


class FocalOfSigmoid(Focal, of="sigmoid"):
    """Each output for itself: with r = (1 − 2y) z, q = sigmoid(r) and L = softplus(r)."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ α q^γ L."""
        q, loss = self._miss(z, y, work)
        np.multiply(loss, np.power(q, self.gamma, out=q), out=loss)
        self._balance(loss, y, work.first)
        loss.sum(axis=-1, out=out)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂z = α (1 − 2y) q^γ (γ p L + q)."""
        q, loss = self._miss(z, y, work)
        np.multiply(np.multiply(loss, self.gamma, out=loss), np.subtract(1, q, out=out), out=loss)
        np.add(loss, q, out=loss)
        np.multiply(loss, np.power(q, self.gamma, out=q), out=loss)
        np.subtract(1, np.multiply(y, 2, out=out), out=out)
        np.multiply(out, loss, out=out)
        self._balance(out, y, work.first)

    def _miss(self, z: Array, y: Array, work: Workspace) -> tuple[Array, Array]:
        """Return q and L, in the second and third plane."""
        r, q, loss = work.first, work.second, work.third
        np.multiply(np.subtract(1, np.multiply(y, 2, out=r), out=r), z, out=r)
        Sigmoid().apply(r, q, work)
        np.logaddexp(r, 0, out=loss)
        return q, loss

    def _balance(self, terms: Array, y: Array, plane: Array) -> None:
        if self.alpha is not None:
            np.multiply(y, 2 * self.alpha - 1, out=plane)
            np.multiply(terms, np.add(plane, 1 - self.alpha, out=plane), out=terms)


class FocalOfSoftmax(Focal, of="softmax"):
    """One of several classes: q = Σ of the outputs of all others, which does not vanish before they do."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = α q^γ L, L the cross-entropy."""
        cross_entropy_of_logits(z, y, 0, out, work)
        q = self._miss(o, y, work)
        np.multiply(out, np.power(q, self.gamma, out=q)[..., 0], out=out)
        if self.alpha is not None:
            np.multiply(out, self.alpha, out=out)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂z = α q^(γ−1) (γ p L + q) (o − y)."""
        loss, p = work.other_column, work.second[..., :1]
        cross_entropy_of_logits(z, y, 0, loss[..., 0], work)
        q = self._miss(o, y, work)
        np.multiply(np.multiply(loss, self.gamma, out=loss), np.subtract(1, q, out=p), out=loss)
        np.add(loss, q, out=loss)
        np.maximum(q, np.finfo(q.dtype).tiny, out=q)  # with γ < 1 its power is large, and what it multiplies is 0
        np.multiply(loss, np.power(q, self.gamma - 1, out=q), out=loss)
        np.multiply(np.subtract(o, y, out=out), loss, out=out)
        if self.alpha is not None:
            np.multiply(out, self.alpha, out=out)

    def _miss(self, o: Array, y: Array, work: Workspace) -> Array:
        """Return q in the column."""
        np.multiply(o, np.subtract(1, y, out=work.first), out=work.first)
        work.first.sum(axis=-1, keepdims=True, out=work.column)
        return work.column
