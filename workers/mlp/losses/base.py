"""What a loss is: each sample's value, and the output delta = ∂E/∂z with which backpropagation begins.

Knows no weights. Shapes: z, o, y, out and the workspace's planes are (…, samples, units); values are (…, samples).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from workers.mlp.activations import Activation, Identity
from workers.mlp.arrays import Array, Workspace
from workers.mlp.choices import NO_OPTION
from workers.mlp.intervals import REALS, Interval

LOSSES: dict[str, type[Loss]] = {}  # each class that has a name of its own


@dataclass(frozen=True)
class Loss(ABC):
    """What a network's output costs; the fields are its options, but for the output activation that it is computed on.

    Where a pair of loss and output activation has numerics of its own, the pair is a subclass, `of` that activation.
    """

    name: ClassVar[str]
    outputs: ClassVar[Mapping[str, str]]  # each task that it serves, and the output activation that is `auto` there
    domain: ClassVar[Interval] = REALS  # the outputs that it takes
    targets: ClassVar[Interval] = REALS  # the values to learn that it takes
    classes: ClassVar[bool] = False  # whether accuracy makes sense
    threshold: ClassVar[float] = 0.5  # a single output above it says the second class
    probabilities: ClassVar[bool] = True  # whether outputs can be read as such, where there are classes
    distribution: ClassVar[bool] = False  # whether the outputs, one for each class, are read as one distribution
    pairs: ClassVar[dict[str, type[Loss]]]

    activation: Activation = field(default=Identity(), kw_only=True, metadata=NO_OPTION)

    def __init_subclass__(cls, of: str | None = None, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            LOSSES[cls.name] = cls
            cls.pairs = {}
        if of is not None:
            cls.pairs[of] = cls

    @classmethod
    def takes(cls, activation: Activation) -> bool:
        """Whether the loss has a meaning on all outputs of this activation, which has nothing to learn."""
        if cls.pairs:
            return activation.name in cls.pairs
        return activation.image.within(cls.domain) and not activation.learned

    def respond(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write the outputs into `o`, and do `values` with them."""
        self.activation.apply(z, o, work)
        self.values(z, o, y, out, work)

    @abstractmethod
    def values(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write each sample's loss, the sum over its outputs, into `out` (…, samples)."""

    @abstractmethod
    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write ∂E/∂z of each sample's loss into `out` (…, samples, units)."""


class LossOfOutput(Loss):
    """A loss that is computed from the outputs, whatever their activation."""

    @abstractmethod
    def slope(self, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """Write ∂E/∂o into `out`; the workspace's planes may be used up."""

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂z: ∂E/∂o, then back through the output activation."""
        self.slope(o, y, out, work)
        self.activation.backward(z, o, out, work)


class MatchedDelta(Loss):
    """The pairs whose f′ cancels against the loss's denominator."""

    def delta(self, z: Array, o: Array, y: Array, out: Array, work: Workspace) -> None:
        """∂E/∂z = o − y."""
        np.subtract(o, y, out=out)
