"""A step of a gang of two workers on one node, and what it takes beyond its slowest worker's computing.

    python -m benchmarks.gang [--steps 2000]

The parameter server and the gradient worker of the service, without Ray, Redis or HTTP around them: this process is
the parameter server and computes the first of two shards itself, the worker is a process of its own. The computing is
timed in both processes; what is beyond the slower one's in the same step is telling, waiting, adding and the update.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

import numpy as np

from benchmarks.machine import described
from benchmarks.made_rows import LEARNING_RATE, PARAMETERS, ROWS, SIZES, made
from benchmarks.sides import Side
from benchmarks.stopwatch import time_calls
from benchmarks.tables import table
from service.parameter_server import ParameterServer
from workers.batches import Step
from workers.datafiles import DataFiles
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.optimizers import SGD
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.gang import Gang

BATCHES = (64, 256, 1024)
SHARDS = 2
WARM_STEPS = 50
GOAL_MS = 0.25
ARCHITECTURE = Architecture(
    SIZES[0],
    (*(LayerShape(units, "relu") for units in SIZES[1:-1]), LayerShape(SIZES[-1], "softmax")),
    "cross_entropy",
)


class Steps(NamedTuple):
    """Seconds of each step: the whole, both workers' computing, and the update."""

    whole: list[float]
    own: list[float]
    other: list[float]
    update: list[float]

    @property
    def slowest(self) -> list[float]:
        """The slower worker's computing."""
        return [max(pair) for pair in zip(self.own, self.other, strict=True)]

    @property
    def beyond(self) -> list[float]:
        """What is beyond it."""
        return [whole - slowest for whole, slowest in zip(self.whole, self.slowest, strict=True)]


class TimedGang:
    """Jobs of two workers, one of them this process; what either computes is timed."""

    def __init__(self, worker: Side, data: DataFiles) -> None:
        self._worker, self._data, self._leases = worker, data, 0
        self._own = time_calls(ShardComputer, "subtree")
        self._updates = time_calls(SGD, "update")

    def steps(self, batch: int, count: int) -> Steps:
        """So many steps of a job of its own, when it is warm."""
        self._leases += 1
        assignment = Assignment(ARCHITECTURE, self._data, batch, SHARDS, seed=0, shuffle=True)
        slots = [Slot("own", "node"), Slot("worker", "node", self._worker.version)]
        gang = Gang(slots, f"{self._leases}-a", assignment, kernels.fingerprint())
        if gang.workers != SHARDS:
            sys.exit(f"{gang.workers} of {SHARDS} workers serve")
        server, an_epoch, took = ParameterServer(ARCHITECTURE, SGD(LEARNING_RATE), gang, seed=0), ROWS // batch, []
        for number in range(WARM_STEPS + count):
            begun = time.perf_counter()
            server.step(Step(*divmod(number, an_epoch)))
            took.append(time.perf_counter() - begun)
        gang.close()
        return Steps(*(times[-count:] for times in (took, self._own, self._worker.ask(None), self._updates)))


@contextmanager
def kept_rows() -> Iterator[DataFiles]:
    """The rows as the service keeps them, without a validation part."""
    with tempfile.TemporaryDirectory() as folder:
        rows = made()
        y = np.eye(SIZES[-1], dtype=np.float32)[rows.y]
        arrays = {"x_train": rows.x, "y_train": y, "x_validation": rows.x[:0], "y_validation": y[:0]}
        Path(folder, "made").mkdir()
        for name, array in arrays.items():
            np.save(Path(folder, "made", f"{name}.npy"), array)
        yield DataFiles(Path(folder).as_uri(), "made", str(Path(folder, "cache")))


def row(batch: int, steps: Steps) -> list[str]:
    """Of the table: medians, and of what is beyond the computing the ninth decile, too."""
    medians = [
        f"{1e3 * statistics.median(times):.3f}" for times in (steps.whole, steps.slowest, steps.beyond, steps.update)
    ]
    ninth = f"{1e3 * statistics.quantiles(steps.beyond, n=10)[-1]:.3f}"
    return [str(batch), *medians[:3], ninth, medians[3], f"≤ {GOAL_MS:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="what a step takes beyond its slowest worker's computing")
    parser.add_argument("--steps", type=int, default=2000)
    count = parser.parse_args().steps
    print(
        f"784-256-128-10, {PARAMETERS * 4 / 1e6:.2f} MB of parameters, two shards, plain SGD; milliseconds, medians of"
    )
    print(f"{count:,} steps. Machine: {described()}.\n")
    worker = Side([sys.executable, "-m", "benchmarks.gang_worker"])
    with kept_rows() as data:
        gang = TimedGang(worker, data)
        rows = [row(batch, gang.steps(batch, count)) for batch in BATCHES]
    worker.close()
    header = [
        "batch",
        "a step",
        "its slowest worker's computing",
        "beyond it",
        "in nine of ten",
        "of it the update",
        "goal",
    ]
    print(table(header, rows))


if __name__ == "__main__":
    main()
