"""What a step does without: memory of the network's size, and of one shard any exchange."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from service.parameter_server import ParameterServer
from tests.worker_process import Workers
from tests.workers.transport.holdings import blocks_of, connections_of
from tests.workers.transport.made_job import assignment_in, train
from workers import kernels
from workers.batches import Step
from workers.mlp.optimizers import OPTIMIZERS
from workers.shard_computer import ShardComputer
from workers.transport.connecting import connect
from workers.transport.local import LocalTransport

WARM, STEPS = 4, 20


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_allocates_no_memory_of_the_networks_size(workers: Workers, made_rows: Path, optimizer: str) -> None:
    assignment = assignment_in(made_rows, units=(700, 500), shards=4)
    gang = workers.gang(assignment, 3)
    server = ParameterServer(assignment.architecture, OPTIMIZERS[optimizer](0.01), gang, seed=1)
    for number in range(WARM):
        server.step(Step(number // 3, number % 3))
    tracemalloc.start()
    try:
        for number in range(WARM, WARM + STEPS):
            server.step(Step(number // 3, number % 3))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert gang.workers == 3
    assert peak_bytes < server.parameters.flat.nbytes / 4


def test_a_job_of_one_shard_has_no_exchange(workers: Workers, made_rows: Path) -> None:
    assignment = assignment_in(made_rows, shards=1)
    slots, connected, held = workers.slots(2), connections_of(), blocks_of()
    transport = connect(slots, "1-aa", assignment, kernels.fingerprint(), asynchronous=False)
    bits = train(transport, assignment, STEPS)
    assert (connections_of(), blocks_of()) == (connected, held)
    assert bits == train(LocalTransport(ShardComputer(assignment)), assignment, STEPS)
