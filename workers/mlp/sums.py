"""What a step or an evaluation adds up over its samples. Knows outputs and targets, no weights and no gradient."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from workers.mlp.arrays import Array, Workspace
from workers.mlp.buffers import SampleBuffers
from workers.mlp.layer_sums import LayerSums


class BatchSums(NamedTuple):
    """Float64 sums over samples: of w · loss, of w (1 each without weights), and of w where the class was found.

    `correct` is 0 where there are no classes. Of a population, an array of shape `networks` stands for each of them.
    `rows` counts the samples; `layers` holds what each layer did, where that was asked for.
    """

    loss: float
    weight: float
    correct: float
    rows: int = 0
    layers: tuple[LayerSums, ...] = ()

    def plus(self, other: BatchSums) -> BatchSums:
        """Return the sums over both."""
        return BatchSums(
            self.loss + other.loss,
            self.weight + other.weight,
            self.correct + other.correct,
            self.rows + other.rows,
            tuple(mine.plus(its) for mine, its in zip(self.layers, other.layers, strict=True)),
        )

    def members(self) -> list[BatchSums]:
        """Return those of each network of a population."""
        of_all: tuple[Any, ...] = (self.loss, self.weight, self.correct)
        each = zip(*(array.tolist() for array in of_all), strict=True)
        found = [BatchSums(loss, weight, correct, self.rows) for loss, weight, correct in each]
        if not self.layers:
            return found
        return [
            sums.with_layers(tuple(layer.member(network) for layer in self.layers))
            for network, sums in enumerate(found)
        ]

    def with_layers(self, layers: tuple[LayerSums, ...]) -> BatchSums:
        """Return the same sums with what each layer did."""
        return self._replace(layers=layers)


def mark_right(o: Array, y: Array, threshold: float, samples: SampleBuffers) -> None:
    """Mark the samples whose class was found: the largest output's, and of one unit by the loss's threshold."""
    answer, target = samples.answer, samples.target[(0,) * (o.ndim - y.ndim)]  # y may be shared by all networks
    if o.shape[-1] == 1:
        np.greater(o[..., 0], threshold, out=answer)
        np.greater(y[..., 0], 0.5, out=target)
    else:
        o.argmax(axis=-1, out=answer)
        y.argmax(axis=-1, out=target)
    np.equal(answer, target, out=samples.right)


def mark_all_right(o: Array, y: Array, samples: SampleBuffers, work: Workspace) -> None:
    """Mark the samples all of whose labels were found, each output above one half or not; overwrites two planes."""
    answer, target = work.first, work.second[(0,) * (o.ndim - y.ndim)]
    np.greater(o, 0.5, out=answer)
    np.greater(y, 0.5, out=target)
    np.equal(answer, target, out=answer)
    answer.min(axis=-1, keepdims=True, out=work.column)
    np.greater(work.column[..., 0], 0, out=samples.right)


def sum_samples(samples: SampleBuffers, weights: Array | None, classes: bool) -> BatchSums:
    """Add up the losses and, where there are classes, the marks. The float64 buffers are used up."""
    loss, weight = samples.loss_float64, samples.weight_float64
    np.copyto(loss, samples.loss)
    weight.fill(1) if weights is None else np.copyto(weight, weights)
    np.multiply(loss, weight, out=loss)
    weight_sum = weight.sum(axis=-1)
    np.multiply(weight, samples.right if classes else 0, out=weight)
    found = number(weight.sum(axis=-1))
    return BatchSums(number(loss.sum(axis=-1)), number(weight_sum), found, rows=weight.shape[-1])


def number(total: NDArray[np.float64] | np.float64) -> float:
    """Return a network's sum as Python's float; a population's stay an array, which adds and divides as well."""
    return cast(float, total) if np.ndim(total) else float(total)
