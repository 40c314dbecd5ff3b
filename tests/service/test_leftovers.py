"""Files that no record names are swept when they are old; what a record or a living lease names stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from service.artifacts import Artifacts
from service.ids import new_id
from service.jobs import CheckpointRef
from service.leftovers import Leftovers
from service.store import Store
from tests.service.rooms import Rooms

HOUR_S = 3600.0


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """An artifact store in a folder of its own."""
    return Artifacts((tmp_path / "artifacts").as_uri())


def put(artifacts: Artifacts, path: str, age_s: float = 2 * HOUR_S) -> str:
    artifacts.write(path, b"content")
    local = artifacts.local_path(path)
    assert local is not None
    written = time.time() - age_s
    os.utime(local, (written, written))
    return path


def test_only_old_files_that_no_record_names_go(store: Store, rooms: Rooms, artifacts: Artifacts) -> None:
    running, ended, gone = rooms.start(), rooms.start(), new_id("job")
    kept = [
        put(artifacts, f"checkpoints/{running.job_id}/{running.token}-7.safetensors"),
        put(artifacts, f"checkpoints/{running.job_id}/{running.token}-9.safetensors"),  # written, not recorded yet
        put(artifacts, f"models/{running.job_id}/{running.token}.safetensors"),
        put(artifacts, f"checkpoints/{gone}/1-00-3.safetensors", age_s=60),
        put(artifacts, f"models/{ended.job_id}/{ended.token}.safetensors"),
    ]
    rooms.queue.record_checkpoint(running, CheckpointRef(kept[0], "0" * 64, 7, {}))
    model = {"id": new_id("model"), "path": kept[4]}
    rooms.queue.succeed(ended, {"model_id": model["id"]}, model)
    left = [
        put(artifacts, f"checkpoints/{running.job_id}/1-00-5.safetensors"),
        put(artifacts, f"checkpoints/{ended.job_id}/{ended.token}-5.safetensors"),
        put(artifacts, f"checkpoints/{gone}/1-00-4.safetensors"),
        put(artifacts, f"models/{ended.job_id}/1-00.safetensors"),
        put(artifacts, f"models/{gone}/1-00.safetensors"),
        put(artifacts, f"models/{gone}/1-00.safetensors.0123456789abcdef.part"),
    ]
    assert sorted(Leftovers(store, artifacts).sweep()) == sorted(left)
    assert all(map(artifacts.exists, kept))
    assert not any(map(artifacts.exists, left))


def test_a_data_set_without_a_record_and_a_preparation_that_lost_go(
    store: Store, rooms: Rooms, artifacts: Artifacts
) -> None:
    dataset, _ = rooms.datasets.create({"id": new_id("ds"), "tenant": "ada", "name": "d"}, "identity")
    home = f"datasets/{dataset['id']}"
    rooms.datasets.record_prepared(dataset["id"], "key", {"folder": f"{home}/prepared/key-1"})
    kept = [put(artifacts, f"{home}/columns.parquet"), put(artifacts, f"{home}/prepared/key-1/x_train.npy")]
    left = [
        put(artifacts, f"{home}/prepared/key-2/x_train.npy"),
        put(artifacts, f"datasets/{new_id('ds')}/columns.parquet"),
    ]
    assert sorted(Leftovers(store, artifacts).sweep()) == sorted(left)
    assert all(map(artifacts.exists, kept))
