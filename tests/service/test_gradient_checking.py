"""`gradient_check` in a job: what its result says, that it changes no bit, and how a wrong gradient ends a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.jobs import JobStatus
from service.store import Store
from tests.service.attempt_room import AttemptRoom, ObservedAttempt
from tests.service.families import until
from workers.mlp.activations import Relu
from workers.mlp.arrays import Array, Workspace


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.fixture
def room(store: Store, tmp_path: Path) -> AttemptRoom:
    return AttemptRoom(store, tmp_path)


def test_the_worst_error_stands_in_result_and_log_and_no_bit_changes(room: AttemptRoom) -> None:
    room.submit()
    plain = room.run()
    room.submit(gradient_check=True)
    job = room.run()
    assert plain.result is not None
    assert job.result is not None
    assert "gradient_check" not in plain.result
    assert job.result["weights_sha256"] == plain.result["weights_sha256"]
    found = job.result["gradient_check"]
    assert set(found) == {"worst_relative_error", "parameter", "checked"}
    assert 0 <= found["worst_relative_error"] < 1e-5
    assert found["checked"] == 4 * 5 + 5 + 5 * 3 + 3
    assert f"at {found['parameter']}, {found['checked']} parameters checked" in room.logged(job)


def test_each_attempt_finds_the_same(room: AttemptRoom) -> None:
    room.submit(gradient_check=True)
    undisturbed = room.run().result
    room.submit(gradient_check=True)

    def pause(attempt: ObservedAttempt) -> None:
        room.rooms.jobs.request(room.rooms.tenant, attempt.lease_at_work.job_id, "pause")
        until(lambda: attempt.beat.requested == "pause", "the flag")

    job = room.run({6: pause})
    assert job.status is JobStatus.PAUSED
    room.rooms.jobs.resume(room.rooms.tenant, job.id)
    resumed = room.run().result
    assert undisturbed is not None
    assert resumed is not None
    assert resumed["gradient_check"] == undisturbed["gradient_check"]
    assert resumed["weights_sha256"] == undisturbed["weights_sha256"]


def test_a_wrong_gradient_fails_the_job_and_names_the_array(room: AttemptRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Relu, z: Array, a: Array, out: Array, work: Workspace) -> None:
        np.greater(a, 0, out=out)
        np.multiply(out, 0.9, out=out)

    monkeypatch.setattr(Relu, "derivative", wrong)
    room.submit(gradient_check=True)
    job = room.run()
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error["title"] == "Wrong gradient"
    assert "gradient of W1[" in job.error["detail"] or "gradient of b1[" in job.error["detail"]
    assert "0.1; allowed: 0.0001" in job.error["detail"]
    assert job.error["hint"]
    assert job.progress.get("step", 0) == 0
