"""What checkpoints cost a training: the default interval's worth of steps with one save among them, beside none.

    python -m benchmarks.checkpoints [--rounds 7] [--interval-s 5]

The training, the two copies and the thread that writes are the service's; files go to a real folder and are flushed.
The process has one core, as where all others compute too: what the thread works, the training waits for. Windows with
and without a save take turns; the overhead is the median over the rounds of their ratio, on the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

import numpy as np

from benchmarks.machine import described
from benchmarks.made_rows import made
from benchmarks.tables import table
from service.artifacts import Artifacts
from service.checkpoints import Snapshot
from service.jobs import Lease
from service.parameter_server import ParameterServer
from service.settings import Settings
from service.snapshot_writer import SnapshotWriter
from service.spec import JobSpec
from service.training import Training
from workers.batches import Step
from workers.datafiles import DataFiles
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.optimizers import SGD, Optimizer
from workers.mlp.optimizers.adam import Adam
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.local import LocalTransport

ROWS, BATCH = 4096, 256
GOAL = 0.035
LEASE = Lease("job-benchmark", "1-00")
CASES: list[tuple[list[int], Optimizer]] = [
    ([784, 256, 128, 10], SGD(0.1)),
    ([784, 1024, 1024, 10], Adam(0.001)),
    ([784, 4096, 4096, 10], Adam(0.001)),
]


class Found(NamedTuple):
    """Units: seconds; `overhead` a share."""

    bytes: int
    step_s: float
    copy_s: float
    write_s: float
    overhead: float


class Case:
    """One training with its checkpoints, best weights kept."""

    def __init__(self, folder: Path, sizes: list[int], optimizer: Optimizer) -> None:
        hidden = tuple(LayerShape(units, "relu") for units in sizes[1:-1])
        architecture = Architecture(sizes[0], (*hidden, LayerShape(sizes[-1], "softmax")), "cross_entropy")
        data = DataFiles(folder.as_uri(), "data", str(folder / "cache"))
        computer = ShardComputer(Assignment(architecture, data, BATCH, 1, seed=0, shuffle=True))
        server = ParameterServer(architecture, optimizer, LocalTransport(computer), seed=0)
        spec = JobSpec.model_validate({"dataset": "made", "data": {"task": "multiclass"}})
        self.training = Training(spec, server, ROWS, BATCH)
        self.training.best = server.parameters.flat.copy()
        self.artifacts = Artifacts((folder / "artifacts").as_uri())
        self.written: list[tuple[float, int]] = []  # seconds and bytes of each file
        self._steps = cycle(Step(0, number, observe=False) for number in range(ROWS // BATCH))

    def write(self, snapshot: Snapshot) -> None:
        """Write a file as the service does, and delete it again."""
        start = time.perf_counter()
        path = snapshot.write(LEASE, self.artifacts, {}).path
        seconds = time.perf_counter() - start
        file = self.artifacts.local_path(path)
        assert file is not None
        self.written.append((seconds, file.stat().st_size))
        self.artifacts.delete(path)

    def window(self, steps: int, writer: SnapshotWriter | None) -> tuple[float, float]:
        """Do steps, with a save before the first one where there is a writer; answers all seconds, and the copy's."""
        start = time.perf_counter()
        if writer is not None:
            self.training.check_finite()
            writer.take(self.training)
        copied = time.perf_counter() - start
        for _ in range(steps):
            self.training.server.step(next(self._steps))
        if writer is not None:
            writer.flush()
        return time.perf_counter() - start, copied

    def measure(self, interval_s: float, rounds: int) -> Found:
        """Let windows with and without a save take turns."""
        with SnapshotWriter(self.write, "writer") as writer:
            for _ in range(2):
                self.window(10, writer)  # both copies are made, code is warm
            self.written.clear()
            step_s = self.window(50, None)[0] / 50
            steps = max(round(interval_s / step_s), 1)
            pairs = [(self.window(steps, writer), self.window(steps, None)) for _ in range(rounds)]
        return Found(
            self.written[0][1],
            statistics.median(plain for _, (plain, _) in pairs) / steps,
            statistics.median(copied for (_, copied), _ in pairs),
            statistics.median(seconds for seconds, _ in self.written),
            statistics.median(saving / plain for (saving, _), (plain, _) in pairs) - 1,
        )


def store(folder: Path) -> None:
    """Make the rows' files, as a data cache has them."""
    x, y = made(ROWS)
    folder.mkdir()
    for part in ("train", "validation"):
        np.save(folder / f"x_{part}.npy", x)
        np.save(folder / f"y_{part}.npy", np.eye(10, dtype=np.float32)[y])


def row(sizes: list[int], optimizer: Optimizer, found: Found) -> list[str]:
    """Of the table."""
    seconds = (f"{1e3 * value:.2f}" for value in (found.step_s, found.copy_s, found.write_s))
    name = f"{'-'.join(map(str, sizes))}, {optimizer.name}"
    return [name, f"{found.bytes / 1e6:.1f}", *seconds, f"{found.overhead:.2%}", f"≤ {GOAL:.1%}"]


def compare(rounds: int, interval_s: float, folder: Path) -> None:
    """Measure every case and print the table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"Batch {BATCH}, float32, best weights kept, a save each {interval_s:g} s, one core; medians of {rounds}")
    print(f"rounds. Machine: {described()}.\n")
    rows = [
        row(sizes, optimizer, Case(folder, sizes, optimizer).measure(interval_s, rounds)) for sizes, optimizer in CASES
    ]
    print(table(["", "file MB", "step ms", "copy ms", "write ms, beside it", "overhead", "goal"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description="what checkpoints cost a training")
    parser.add_argument("--rounds", type=int, default=7)
    interval_s = float(Settings.model_fields["checkpoint_s"].default)
    parser.add_argument(
        "--interval-s", type=float, default=interval_s, help="between two saves [the service's default]"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a real disk, where /tmp may be memory
        store(Path(folder, "data"))
        compare(options.rounds, options.interval_s, Path(folder))


if __name__ == "__main__":
    main()
