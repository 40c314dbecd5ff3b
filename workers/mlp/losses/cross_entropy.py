"""Cross-entropy, −Σ yₖ ln(oₖ / Σⱼ oⱼ) where Σ yₖ = 1: the outputs are one distribution over the classes.

Softmax outputs are one; sigmoid outputs are read as one by dividing them by their sum (as Keras does): taken singly
they would all be pushed towards 1 and none back.

Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 5.24.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from workers.mlp.activations import Sigmoid, Softmax
from workers.mlp.arrays import Array, Workspace
from workers.mlp.intervals import BETWEEN_0_AND_1
from workers.mlp.losses.base import Loss
from workers.mlp.losses.logits import cross_entropy_of_logits, log_sigmoid, smoothed


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy; with `label_smoothing` ε towards the targets (1 − ε) y + ε / classes, which certainty overshoots.

    Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision (2016), section 7.
    """

    name = "cross_entropy"
    outputs: ClassVar = {"multiclass": "softmax", "binary": "softmax"}
    domain = BETWEEN_0_AND_1
    classes = True
    distribution = True

    label_smoothing: float = field(default=0.0, metadata={"least": 0, "below": 1})


class CrossEntropyOfSoftmax(CrossEntropy, of="softmax"):
    """Cross-entropy of the distribution that softmax makes."""

    def respond(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Outputs and losses have the exponentials and their sums in common."""
        cross_entropy_of_logits(z, y, self.label_smoothing, out, work, softmax=o)

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = Σ yₖ (ln Σⱼ e^zⱼ − zₖ)."""
        cross_entropy_of_logits(z, y, self.label_smoothing, out, work)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂z = o − y."""
        np.subtract(o, smoothed(y, self.label_smoothing, out), out=out)


class CrossEntropyOfSigmoid(CrossEntropy, of="sigmoid"):
    """Cross-entropy of sigmoid outputs read as a distribution, p = o / Σ o."""

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """p is the softmax of ln oₖ = −softplus(−zₖ)."""
        cross_entropy_of_logits(log_sigmoid(z, work), y, self.label_smoothing, out, work)

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂zₖ = (pₖ − yₖ)(1 − oₖ), since d ln o / dz = 1 − o; it is kept above 0, where two units are both sure."""
        Softmax().apply(log_sigmoid(z, work), out, work)
        np.subtract(out, smoothed(y, self.label_smoothing, work.second), out=out)
        np.negative(z, out=work.first)
        Sigmoid().apply(work.first, work.first, work)  # 1 − o, also where o has become exactly 1
        np.maximum(work.first, np.finfo(z.dtype).epsneg, out=work.first)
        np.multiply(out, work.first, out=out)
