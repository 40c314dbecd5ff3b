"""Who is compared in training on two cores: deltaq as its users have it, the peers, and matrix products alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol

from benchmarks.made_rows import ROWS, SIZES, made
from benchmarks.service import running_service
from benchmarks.sides import Side

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SPEC: dict[str, Any] = {
    "dataset": "made",
    "data": {"task": "multiclass", "scale": "none", "validation_fraction": 0.0},
    "network": {"hidden": list(SIZES[1:-1])},
}


class Contestant(Protocol):
    """One that trains when it is its turn."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def version(self) -> str:
        """Of what computes there."""

    def seconds(self, batch: int, epochs: int) -> float:
        """How long so many epochs take."""


class Served:
    """deltaq: trains as jobs on a running service that has the rows; what counts are a job's epochs but the first."""

    def __init__(self, client: Any, shards: int = 2, workers: int = 2, name: str = "deltaq, 2 workers") -> None:
        from deltaq import __version__

        self.name, self.version = name, f"deltaq {__version__}"
        self._client, self._workers = client, workers
        self._spec = {**SPEC, "shards": shards, "workers": {"min": workers, "max": workers}}

    def seconds(self, batch: int, epochs: int) -> float:
        """As the job's metrics tell them."""
        job = self._client.submit({**self._spec, "batch_size": batch, "epochs": epochs + 1}).wait()
        if job.result["workers_used"] != self._workers:
            sys.exit(f"{job.result['workers_used']} workers served job {job.id}, which was for {self._workers}")
        return float(sum(ROWS / row.samples_per_s for row in job.metrics()[1:]))


@contextmanager
def service_with_rows() -> Iterator[Any]:
    """A client of a service that has the rows."""
    from deltaq import Client

    with running_service() as url, Client(url) as client:
        client.datasets.add(tuple(made()), name="made")
        yield client


class Apart(NamedTuple):
    """One that trains in processes of its own, each with so many threads, all at once."""

    name: str
    version: str
    sides: Sequence[Side]

    def seconds(self, batch: int, epochs: int) -> float:
        """Until the last of its processes is done."""
        for side in self.sides:
            side.tell([batch, epochs])
        return max(float(side.hear()) for side in self.sides)


class Entry(NamedTuple):
    """How one is started: the arguments of Python for each of its processes."""

    name: str
    python: str
    arguments: str
    processes: int = 1
    threads: int = 1

    @contextmanager
    def started(self) -> Iterator[Apart]:
        """Ready to train, until the context ends. Raises: Absent."""
        command = [self.python, "-m", *self.arguments.split()]
        with ExitStack() as sides:
            started = [Side(command, dict.fromkeys(THREADS, str(self.threads))) for _ in range(self.processes)]
            for side in started:
                sides.callback(side.close)
            yield Apart(self.name, started[0].version, started)


PORTABLE, NATIVE = "matrix products alone", "the same, native kernels"
PYTORCH, DISTRIBUTED, SCIKIT_LEARN = "PyTorch, 2 threads", "PyTorch DDP gloo, 2 × 1", "scikit-learn, 2 threads"
H2O, RAY_TRAIN, RAY_ACTORS = "H2O-3, 2 threads", "Ray Train, 2 workers", "plain Ray actors, 2"


def fast(python: str) -> list[Entry]:
    """The bound, and the peers that come near it."""
    return [
        Entry(PORTABLE, sys.executable, "benchmarks.bound --kernels portable", processes=2),
        Entry(NATIVE, sys.executable, "benchmarks.bound --kernels native", processes=2),
        Entry(PYTORCH, python, "benchmarks.peers.pytorch", threads=2),
        Entry(DISTRIBUTED, python, "benchmarks.peers.distributed"),
        Entry(SCIKIT_LEARN, python, "benchmarks.peers.scikit_learn rounds", threads=2),
    ]


def slow(python: str) -> list[Entry]:
    """Those that take tens of seconds to start, and keep a machine busy beside their training."""
    return [
        Entry(RAY_TRAIN, python, "benchmarks.peers.ray_train rounds"),
        Entry(RAY_ACTORS, python, "benchmarks.peers.ray_actors"),
        Entry(H2O, python, "benchmarks.peers.h2o_cluster rounds", threads=2),
    ]
