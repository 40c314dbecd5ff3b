"""The losses of real values that any output activation may have.

squared_error    ½ Σ (oₖ − yₖ)²
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workers.mlp.arrays import Array, Workspace
from workers.mlp.losses.base import LossOfOutput


class SquaredError(LossOfOutput):
    """Half the squared distance; of classes too, where the outputs are compared with 0 and 1."""

    name = "squared_error"
    outputs: ClassVar = {"regression": "identity", "binary": "sigmoid", "multiclass": "softmax"}

    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """E = ½ Σ (oₖ − yₖ)²."""
        np.subtract(o, y, out=work.first)
        np.multiply(work.first, work.first, out=work.first)
        work.first.sum(axis=-1, out=out)
        np.multiply(out, 0.5, out=out)

    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂oₖ = oₖ − yₖ."""
        np.subtract(o, y, out=out)
