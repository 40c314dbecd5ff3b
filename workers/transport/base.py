"""What every transport does, and how it says that nobody is left. Knows neither Ray nor processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Evaluation
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Slot


class WorkersLost(Exception):
    """Every worker of the gang died: there is nobody left to compute a shard."""


class Transport(Protocol):
    """The parameter server's view of the workers that serve one job."""

    weights: Parameters
    """The weights that workers read: the parameter server's own, changed in place between two calls."""

    def gradient(self, step: Step, out: Parameters) -> BatchSums:
        """Sum one mini-batch's gradients into `out` by the fixed tree over its shards.

        Raises: WorkersLost.
        """

    def evaluate(self, part: Part = "validation") -> Evaluation | None:
        """A part's sums by the fixed tree over its blocks, and its outputs in the order of its rows; None without any.

        Raises: WorkersLost.
        """

    @property
    def workers(self) -> int:
        """How many workers serve the job now."""

    @property
    def most_workers(self) -> int:
        """How many served it at the same time, at most."""

    def change(self, slots: Sequence[Slot]) -> None:
        """Be served by these slots from the next call on; the bits do not depend on it."""

    def close(self) -> None:
        """Let all workers go; the weights stay as they are."""
