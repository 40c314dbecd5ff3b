"""What lies where in shared memory: weights in the parameter server's block, a worker's answers in the worker's own.

Both sides compute the same places from the job's assignment alone. Knows not how a block comes to be shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workers.datafiles import Part
from workers.evaluation import block_count
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import ALIGNMENT_BYTES, Array
from workers.mlp.layer_sums import LayerSums
from workers.mlp.parameters import Parameters, flat_size
from workers.mlp.sums import BatchSums
from workers.transport.shared_memory import Bytes


def weights_size(architecture: Architecture) -> int:
    """How many bytes the weights take."""
    return _padded(flat_size(architecture) * architecture.dtype.itemsize)


def weights_in(memory: Bytes, architecture: Architecture) -> Parameters:
    """The weights, as views."""
    return _parameters(memory, architecture, 0)


class AnswerLayout:
    """How large a worker's answers are: sums of shards or blocks, gradients of subtrees, outputs of a part.

    Units: `size` in bytes.
    """

    def __init__(self, architecture: Architecture, shards: int, rows: Mapping[Part, int]) -> None:
        self.architecture = architecture
        self.shards = shards
        self.most_rows = max(rows.values())
        self.sums = _sums_dtype(architecture)
        self.records = max(shards, block_count(self.most_rows))
        self.gradients_from = _padded(self.records * self.sums.itemsize)
        self.gradient_bytes = weights_size(architecture)
        self.outputs_from = self.gradients_from + shards * self.gradient_bytes
        self.size = self.outputs_from + self.most_rows * architecture.outputs * architecture.dtype.itemsize


class AnswerBlock:
    """A worker's answers, as views on its memory; its slots are filled from 0 on in each step."""

    def __init__(self, memory: Bytes, layout: AnswerLayout) -> None:
        self._memory, self._layout = memory, layout
        self._records = memory[: layout.records * layout.sums.itemsize].view(layout.sums)
        outputs = memory[layout.outputs_from : layout.size].view(layout.architecture.dtype)
        self.outputs: Array = outputs.reshape(layout.most_rows, layout.architecture.outputs)  # by row of the part
        self._gradients: dict[int, Parameters] = {}

    def gradient(self, slot: int) -> Parameters:
        """The gradient in a slot."""
        if slot not in self._gradients:
            layout = self._layout
            start = layout.gradients_from + slot * layout.gradient_bytes
            self._gradients[slot] = _parameters(self._memory, layout.architecture, start)
        return self._gradients[slot]

    def put_sums(self, number: int, sums: BatchSums | None) -> None:
        """Write the sums of a slot, or of a block of rows; None stands for those of no row."""
        record = self._records[number]
        record["there"] = sums is not None
        if sums is None:
            return
        record["sums"] = sums[:3]
        record["rows"] = sums.rows
        record["observed"] = bool(sums.layers)
        start = 0
        for layer, written in zip(sums.layers, record["layers"], strict=False):
            written["rows"], written["finite"] = layer.rows, layer.finite
            written["sums"] = layer.delta_squares, layer.flat
            record["alive"][start : start + len(layer.alive)] = layer.alive
            start += len(layer.alive)

    def sums(self, number: int) -> BatchSums | None:
        """The sums of a slot, or of a block of rows."""
        record = self._records[number]
        if not record["there"]:
            return None
        loss, weight, correct = record["sums"].tolist()
        layers = tuple(self._layers(record)) if record["observed"] else ()
        return BatchSums(loss, weight, correct, int(record["rows"]), layers)

    def _layers(self, record: Any) -> list[LayerSums]:
        found, start = [], 0
        for layer, shape in zip(record["layers"], self._layout.architecture.layers, strict=True):
            alive = record["alive"][start : start + shape.units].copy()
            squares, flat = layer["sums"]
            found.append(LayerSums(int(layer["rows"]), squares, flat, alive, bool(layer["finite"])))
            start += shape.units
        return found


def _sums_dtype(architecture: Architecture) -> np.dtype[Any]:
    layer = np.dtype([("rows", np.int64), ("sums", np.float64, 2), ("finite", np.bool_)], align=True)
    units = sum(shape.units for shape in architecture.layers)
    fields = [
        ("there", np.bool_),
        ("observed", np.bool_),
        ("rows", np.int64),
        ("sums", np.float64, 3),
        ("layers", layer, len(architecture.layers)),
        ("alive", np.bool_, units),
    ]
    return np.dtype(fields, align=True)


def _parameters(memory: Bytes, architecture: Architecture, start: int) -> Parameters:
    size = flat_size(architecture) * architecture.dtype.itemsize
    return Parameters(architecture, flat=memory[start : start + size].view(architecture.dtype))


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
