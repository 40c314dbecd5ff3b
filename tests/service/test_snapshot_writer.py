"""A training copied into one of two snapshots while a thread writes the other one, into real files."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from service.assembly import assemble
from service.builtin import install_builtins
from service.checkpoints import Snapshot
from service.jobs import CheckpointRef, Lease
from service.preparation import prepare
from service.resolution import resolve
from service.snapshot_writer import SnapshotWriter
from service.spec import JobSpec
from service.training import Training
from tests.service.data_room import DataRoom
from tests.service.families import until
from workers.shard_computer import ShardComputer
from workers.transport.local import LocalTransport

LEASE = Lease("job-aaaaaaaaaaaaaaaaaaaa", "1-00")
SPEC: dict[str, Any] = {
    "dataset": "iris",
    "network": {"hidden": [600, 600]},
    "optimizer": {"name": "adam"},
    "early_stopping": {"patience": 5},
}


@pytest.fixture
def training(data_room: DataRoom) -> Training:
    """A training that stands still until a test changes it, with arrays of 1.4 MB."""
    iris = next(made for made in install_builtins(data_room.records, data_room.artifacts) if made.name == "iris")
    resolution = resolve(JobSpec.model_validate(SPEC), iris)
    prepared = prepare(resolution.spec, iris, data_room.artifacts, data_room.records, data_room.settings.cache_path)
    return assemble(resolution, prepared, lambda given, _: LocalTransport(ShardComputer(given)))


def bring_to(training: Training, step: int) -> None:
    """As if it had done so many steps: its number stands in every array."""
    server = training.server
    server.version = step
    for array in (server.parameters.flat, *server.optimizer_state):
        array.fill(step)


class Files:
    """Writes snapshots where the test looks, each as soon as it may."""

    def __init__(self, room: DataRoom) -> None:
        self.begun, self.may_go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.written: list[CheckpointRef] = []
        self._artifacts = room.artifacts

    def write(self, snapshot: Snapshot) -> None:
        self.begun.release()
        assert self.may_go_on.acquire(timeout=60)
        self.written.append(snapshot.write(LEASE, self._artifacts, {}))

    def numbers(self, reference: CheckpointRef) -> set[float]:
        """Every number that is in a file, as safetensors reads it."""
        arrays = load(self._artifacts.read(reference.path))
        assert set(arrays) == {"parameters", "optimizer.0", "optimizer.1"}
        return {float(number) for array in arrays.values() for number in np.unique(array)}


@pytest.fixture
def files(data_room: DataRoom) -> Files:
    """Files in a folder of the test's own."""
    return Files(data_room)


def test_training_goes_on_while_one_is_written_and_the_newest_comes_next(training: Training, files: Files) -> None:
    with SnapshotWriter(files.write, "writer") as writer:
        for step in (1, 2, 3):
            bring_to(training, step)
            writer.take(training)
            if step == 1:
                assert files.begun.acquire(timeout=60)
        bring_to(training, 4)
        files.may_go_on.release(2)
        writer.flush()
        assert [reference.step for reference in files.written] == [1, 3]
    assert [files.numbers(reference) for reference in files.written] == [{1.0}, {3.0}]
    assert len({reference.path for reference in files.written}) == 2


def test_once_there_are_two_copies_another_one_allocates_nothing(training: Training, files: Files) -> None:
    files.may_go_on.release(9)
    with SnapshotWriter(files.write, "writer") as writer:
        for _ in range(2):
            writer.take(training)
            writer.flush()
        tracemalloc.start()
        try:
            for _ in range(2):
                writer.take(training)
                writer.flush()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < training.server.parameters.flat.nbytes / 10


def test_what_waits_at_the_exit_is_dropped_and_what_is_written_is_finished(training: Training, files: Files) -> None:
    with ThreadPoolExecutor(1) as threads, SnapshotWriter(files.write, "writer") as writer:
        for step in (1, 2):
            bring_to(training, step)
            writer.take(training)
            if step == 1:
                assert files.begun.acquire(timeout=60)

        def go_on() -> None:
            until(lambda: writer._closing, "the exit")
            files.may_go_on.release(2)

        let = threads.submit(go_on)
    let.result()
    assert [files.numbers(reference) for reference in files.written] == [{1.0}]


def test_what_cannot_be_written_is_said_to_who_waits_and_to_who_takes(training: Training) -> None:
    def fail(snapshot: Snapshot) -> None:
        raise ZeroDivisionError("a fault")

    with SnapshotWriter(fail, "writer") as writer:
        writer.check()
        writer.take(training)
        for ask in (writer.flush, writer.check, lambda: writer.take(training), writer.flush):
            with pytest.raises(ZeroDivisionError, match="a fault"):
                ask()


def test_a_copy_that_fails_leaves_nothing_to_be_written(training: Training, files: Files) -> None:
    files.may_go_on.release(9)
    with SnapshotWriter(files.write, "writer") as writer:
        state, training.server.optimizer_state = training.server.optimizer_state, [np.empty(3), np.empty(3)]
        for _ in range(2):
            writer.take(training)
            writer.flush()
        training.server.optimizer_state = state
        with pytest.raises(ValueError, match="broadcast"):
            writer.take(training)
        writer.flush()
    assert len(files.written) == 2


def test_the_best_weights_come_and_go(training: Training, files: Files, data_room: DataRoom) -> None:
    snapshot, best = Snapshot(), training.server.parameters.flat.copy()
    for kept in (None, best, None):
        training.best = kept
        arrays = load(data_room.artifacts.read(snapshot.take(training).write(LEASE, data_room.artifacts, {}).path))
        assert ("best" in arrays) == (kept is not None)
        assert kept is None or np.array_equal(arrays["best"], kept)
