"""Every optimizer with every normalisation: the same bits for 1, 2 and 4 workers, and after an interruption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.artifacts import Artifacts
from service.assembly import assemble
from service.checkpoints import Snapshot, read_checkpoint
from service.datasets import Dataset
from service.jobs import Lease
from service.preparation import PreparedData
from service.resolution import Resolution, resolve
from service.spec import JobSpec
from service.training import Training
from tests.service.data_room import DataRoom
from tests.service.short_training import Unobserved
from tests.worker_process import Workers
from workers.mlp.optimizers import EVERY_OPTIMIZER
from workers.mlp.random import Purpose, philox
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import Transport
from workers.transport.local import LocalTransport

TOKEN = "1-aa"
SHARDS, WORKERS, INTERRUPTED_AT = 5, (1, 2, 4), 4
CASES = [
    (name, normalization)
    for name in EVERY_OPTIMIZER
    for normalization in ("none", "batch", "layer")
    if (name, normalization) != ("lbfgs", "batch")
]


class Stopped(Exception):
    """The training ends between two steps."""


@dataclass
class Watching(Unobserved):
    """Keeps the rows of metrics without their speed, and stops after a step where that is asked."""

    steps: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def after_step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if not self.steps:
                raise Stopped

    def after_epoch(self, row: dict[str, Any]) -> None:
        self.rows.append({name: value for name, value in row.items() if name != "samples_per_s"})


@dataclass(frozen=True)
class Prepared:
    """One spec on its prepared data, to be trained by any number of workers."""

    resolution: Resolution
    data: PreparedData

    workers: Workers

    def begin(self, workers: int) -> Training:
        def connect(assignment: Assignment, _: bool) -> Transport:
            if workers == 1:
                return LocalTransport(ShardComputer(assignment))
            gang = self.workers.gang(assignment, workers)
            assert gang.workers == workers
            return gang

        return assemble(self.resolution, self.data, connect)

    def train(self, workers: int) -> tuple[str, list[dict[str, Any]]]:
        training, seen = self.begin(workers), Watching()
        training.run(seen)
        return training.server.parameters.sha256(), seen.rows

    def train_interrupted(self, artifacts: Artifacts) -> tuple[str, list[dict[str, Any]]]:
        """Four workers stop after a step; two go on from the checkpoint."""
        first, seen = self.begin(4), Watching(INTERRUPTED_AT)
        with pytest.raises(Stopped):
            first.run(seen)
        reference = Snapshot().take(first).write(Lease("job-" + "a" * 20, TOKEN), artifacts, {})
        again, rest = self.begin(2), Watching()
        read_checkpoint(reference, artifacts).put_back(again)
        again.run(rest)
        return again.server.parameters.sha256(), seen.rows + rest.rows


def spec_of(name: str, normalization: str) -> dict[str, Any]:
    searching = name == "lbfgs"
    full = EVERY_OPTIMIZER[name].full_batch
    return {
        "network": {
            "hidden": [7, 6],
            "activation": "tanh",
            "normalization": normalization,
            **({} if searching else {"dropout": 0.25, "input_dropout": 0.1}),
        },
        "optimizer": {"name": name, **({"momentum": 0.9} if name == "sgd" else {})},
        "batch_size": "full" if full else 45,
        "epochs": 8 if full else 3,
        "shards": SHARDS,
        "early_stopping": {"patience": 1000},
    }


@pytest.fixture
def dataset(data_room: DataRoom) -> Dataset:
    generator = philox(3, Purpose.ORDER)
    x = generator.standard_normal((160, 4))
    labels = ["abc"[number] for number in (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)]
    columns: Mapping[str, Any] = {f"x{number}": x[:, number] for number in range(4)}
    return data_room.add_table({**columns, "y": labels})


@pytest.mark.parametrize(("name", "normalization"), CASES)
def test_one_two_and_four_workers_and_an_interruption_give_the_same_bits(
    data_room: DataRoom, dataset: Dataset, workers: Workers, tmp_path: Path, name: str, normalization: str
) -> None:
    spec = spec_of(name, normalization)
    resolution = resolve(JobSpec.model_validate({"dataset": dataset.name, **spec}), dataset)
    prepared = Prepared(resolution, data_room.prepare(dataset, spec), workers)
    alone = prepared.train(1)
    assert len(alone[1]) >= 2
    for count in WORKERS[1:]:
        assert prepared.train(count) == alone
    assert prepared.train_interrupted(data_room.artifacts) == alone
