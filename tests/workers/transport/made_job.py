"""A job with all that has state or chance in it, trained step by step over any transport."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from service.parameter_server import ParameterServer
from workers.batches import Step, steps_per_epoch
from workers.datafiles import NAMES, DataFiles
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.optimizers import OPTIMIZERS
from workers.mlp.random import Purpose, philox
from workers.shard_computer import Assignment
from workers.transport import Transport

Normalization = Literal["none", "batch", "layer"]

ROWS, INPUTS, CLASSES, SHARDS = 600, 40, 5, 4


def write_data(folder: Path) -> Path:
    """Write the rows that `assignment_in` trains on."""
    generator = philox(11, Purpose.ORDER)
    for name in NAMES:
        x = generator.standard_normal((ROWS, INPUTS))
        array = x if name.startswith("x") else np.eye(CLASSES)[np.arange(ROWS) % CLASSES]
        np.save(folder / f"{name}.npy", array.astype(np.float32))
    return folder


def assignment_in(
    folder: Path,
    *,
    units: tuple[int, int] = (48, 32),
    normalizations: tuple[Normalization, Normalization] = ("batch", "layer"),
    batch_size: int = 250,
    shards: int = SHARDS,
) -> Assignment:
    """Dropout and normalisations; the last mini-batch of an epoch is a short one."""
    layers = (
        LayerShape(units[0], "tanh", normalizations[0], dropout=0.2),
        LayerShape(units[1], "relu", normalizations[1], dropout=0.1),
        LayerShape(CLASSES, "softmax"),
    )
    architecture = Architecture(INPUTS, layers, "cross_entropy", input_dropout=0.1)
    data = DataFiles(folder.parent.as_uri(), folder.name, str(folder / "cache"))
    return Assignment(architecture, data, batch_size, shards, seed=2, shuffle=True)


def train(
    transport: Transport,
    assignment: Assignment,
    steps: int,
    before_step: Callable[[int], None] = lambda _: None,
    optimizer: str = "adam",
) -> str:
    """Do so many steps and evaluate each epoch; answers the SHA-256 of all outputs, sums and the last weights."""
    server = ParameterServer(assignment.architecture, OPTIMIZERS[optimizer](0.01), transport, seed=1)
    per_epoch = steps_per_epoch(ROWS, assignment.batch_size)
    seen = hashlib.sha256()
    for number in range(steps):
        before_step(number)
        epoch, of_epoch = divmod(number, per_epoch)
        seen.update(repr(server.step(Step(epoch, of_epoch))[:3]).encode())
        if of_epoch == per_epoch - 1:
            evaluation = server.evaluate()
            assert evaluation is not None
            seen.update(evaluation.outputs.tobytes() + repr(evaluation.sums[:3]).encode())
    seen.update(server.parameters.flat.tobytes())
    return seen.hexdigest()
