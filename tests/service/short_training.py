"""`python -m tests.service.short_training`: trains a little and prints the kernels and the weights' SHA-256."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

import numpy as np

from service.parameter_server import ParameterServer
from service.spec import JobSpec
from service.training import Training
from workers.datafiles import NAMES, DataFiles
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.optimizers import SGD
from workers.mlp.random import Purpose, philox
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.local import LocalTransport

ROWS, BATCH, INPUTS, CLASSES = 300, 96, 37, 5


class Unobserved:
    """Nothing happens beside the training."""

    def after_step(self) -> None:
        """Nothing."""

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Nothing."""

    def after_reports(self) -> None:
        """Nothing."""

    def tell(self, level: Literal["info", "warning"], message: str) -> None:
        """Nothing."""

    def pause(self, reason: str) -> None:
        """Nothing."""


def train(folder: Path, precision: str) -> str:
    """Train on made rows; answers the weights' SHA-256."""
    dtype = np.dtype(precision)
    generator = philox(11, Purpose.ORDER)
    for name in NAMES:
        shape = (ROWS, INPUTS if name.startswith("x") else CLASSES)
        array = generator.standard_normal(shape) if name.startswith("x") else np.eye(CLASSES)[np.arange(ROWS) % CLASSES]
        np.save(folder / f"{name}.npy", array.astype(dtype))
    layers = (LayerShape(29, "tanh"), LayerShape(31, "relu"), LayerShape(CLASSES, "softmax"))
    architecture = Architecture(INPUTS, layers, "cross_entropy", precision=dtype.name)  # type: ignore[arg-type]
    data = DataFiles(folder.parent.as_uri(), folder.name, str(folder / "cache"))
    computer = ShardComputer(Assignment(architecture, data, BATCH, 3, seed=1, shuffle=True))
    server = ParameterServer(architecture, SGD(0.05, momentum=0.9), LocalTransport(computer), seed=1)
    spec = JobSpec.model_validate(
        {"dataset": "made", "epochs": 4, "data": {"task": "multiclass"}, "optimizer": {"learning_rate": 0.05}}
    )
    Training(spec, server, ROWS, BATCH).run(Unobserved())
    return server.parameters.sha256()


def main() -> None:
    """Print what this process' kernels give."""
    kernels.check()
    hashes = {}
    for precision in ("float32", "float64"):  # a folder each: what a process has mapped it keeps, under its name
        with tempfile.TemporaryDirectory() as folder:
            hashes[precision] = train(Path(folder), precision)
    json.dump({"fingerprint": kernels.fingerprint(), "weights_sha256": hashes}, sys.stdout)


if __name__ == "__main__":
    main()
