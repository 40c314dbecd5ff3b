"""What is counted for a job is what its training allocates."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from service.assembly import assemble
from service.builtin import install_builtins
from service.checkpoints import Snapshot
from service.gradient_checking import verify_gradient
from service.jobs import Lease
from service.preparation import prepare
from service.resolution import resolve
from service.results import kept
from service.spec import JobSpec
from tests.service.data_room import DataRoom
from tests.service.short_training import Unobserved
from workers.shard_computer import ShardComputer
from workers.transport.local import LocalTransport

ALL = {
    "shards": 4,
    "optimizer": {"momentum": 0.9, "nesterov": True},
    "early_stopping": {"metric": "validation_loss", "patience": 5},
}


@pytest.mark.parametrize(
    "spec",
    [
        {"network": {"hidden": [1024, 1024]}, "batch_size": 512, "optimizer": {"momentum": 0.0}},
        {"network": {"hidden": [1024, 1024]}, "batch_size": 512, **ALL},
        {"network": {"hidden": [512, 512], "precision": "float64"}, "batch_size": 512, **ALL, "shards": 7},
        {"network": {"hidden": [256, 32]}, "batch_size": "full", "shards": 1, "optimizer": {"momentum": 0.0}},
        {"network": {"hidden": [256, 32], "normalization": "batch", "dropout": 0.5}, "batch_size": "full", "shards": 1},
        {"network": {"hidden": [512, 64], "normalization": "layer", "input_dropout": 0.1}, "batch_size": 1024},
        {"network": {"hidden": [1024, 256]}, "batch_size": "full", "shards": 8, "optimizer": {"name": "lbfgs"}},
        {"network": {"hidden": [1024, 1024]}, "batch_size": 512, "gradient_check": True},
        {"network": {"hidden": [8]}},
    ],
    ids=[
        "weights",
        "weights and all that goes with them",
        "float64",
        "rows",
        "batch and dropout",
        "layer",
        "lbfgs",
        "gradient check",
        "scoring",
    ],
)
def test_it_is_within_a_fifth_of_what_is_allocated(data_room: DataRoom, spec: dict[str, Any]) -> None:
    digits = next(made for made in install_builtins(data_room.records, data_room.artifacts) if made.name == "digits")
    resolution = resolve(JobSpec.model_validate({"dataset": "digits", "epochs": 2, **spec}), digits)
    prepared = prepare(resolution.spec, digits, data_room.artifacts, data_room.records, data_room.settings.cache_path)
    mapped = sum(array.nbytes for array in vars(prepared.open()).values() if array is not None)
    tracemalloc.start()
    try:
        training = assemble(resolution, prepared, lambda given, _: LocalTransport(ShardComputer(given)))
        if resolution.spec.gradient_check:
            verify_gradient(training.server.parameters, prepared, 0)
        training.run(Unobserved())
        snapshots = [Snapshot().take(training) for _ in range(2)]
        snapshots[0].write(Lease("job-" + "a" * 20, "1-a"), data_room.artifacts, {})
        kept(training, prepared)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert resolution.memory_bytes == pytest.approx(peak + mapped, rel=0.2)
