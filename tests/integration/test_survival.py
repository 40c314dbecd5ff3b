"""Each part is SIGKILLed in the middle of a job: its bits are those of an undisturbed run, and nothing stays behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import Diverged, LeaseLost
from service.jobs import CheckpointRef
from service.queue import Queue
from tests.integration.live import LiveService, running, shared_memory, until

pytestmark = pytest.mark.timeout(300)

EPOCHS = 60
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [48, 32]},
    "batch_size": 256,
    "shards": 4,
    "epochs": EPOCHS,
    "optimizer": {"momentum": 0.9, "learning_rate": 0.02},
    "early_stopping": {"patience": 1000},
    "workers": {"min": 2, "max": 2},
}
MIDDLE = 100  # of 360 steps


@pytest.fixture(scope="module")
def undisturbed(live: LiveService) -> dict[str, Any]:
    """The job's result when nothing happens."""
    return dict(live.finish(live.submit(SPEC))["result"])


def of_worker(live: LiveService) -> int:
    return live.pid("workers")


def of_parameter_server(live: LiveService) -> int:
    return live.pid("runners")


def of_scheduler(live: LiveService) -> int:
    return live.part("-m service scheduler")


def of_api(live: LiveService) -> int:
    return live.part("-m api")


def of_redis(live: LiveService) -> int:
    return live.part("valkey-server")


def of_ray(live: LiveService) -> int:
    return live.part("gcs_server")


VICTIMS = [of_worker, of_parameter_server, of_scheduler, of_api, of_redis, of_ray]


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: victim.__name__.removeprefix("of_"))
def test_a_killed_part_changes_no_bit(
    live: LiveService, undisturbed: dict[str, Any], victim: Callable[[LiveService], int]
) -> None:
    job_id = live.submit(SPEC)
    live.reach(job_id, MIDDLE)
    lease = live.lease(job_id)
    live.kill(victim(live))
    job = live.finish(job_id)
    assert job["result"]["weights_sha256"] == undisturbed["weights_sha256"]
    assert job["result"]["steps"] == undisturbed["steps"]
    assert [row["epoch"] for row in live.metrics(job_id)] == list(range(1, EPOCHS + 1))
    assert job["result"]["validation_loss"] == undisturbed["validation_loss"]
    queue = Queue(live.store())
    for late in (
        lambda: queue.beat(lease),
        lambda: queue.record_epoch(lease, {"epoch": EPOCHS + 1}),
        lambda: queue.record_checkpoint(lease, CheckpointRef("late", "0" * 64, 1, {})),
        lambda: queue.fail(lease, Diverged("late")),
        lambda: queue.release(lease, "late"),
    ):
        with pytest.raises(LeaseLost):
            late()
    assert live.job(job_id) == job


@pytest.mark.parametrize("victim", [of_worker, of_parameter_server], ids=["worker", "parameter_server"])
def test_a_part_that_is_stopped_and_wakes_changes_no_bit(
    live: LiveService, undisturbed: dict[str, Any], victim: Callable[[LiveService], int]
) -> None:
    job_id = live.submit(SPEC)
    live.reach(job_id, MIDDLE)
    pid = victim(live)
    os.kill(pid, signal.SIGSTOP)
    job = live.finish(job_id)
    assert job["result"]["weights_sha256"] == undisturbed["weights_sha256"]
    if running(pid):
        os.kill(pid, signal.SIGCONT)
    until(lambda: not running(pid), 20, "the end of the process that nobody waits for")
    assert live.job(job_id) == job
    assert [row["epoch"] for row in live.metrics(job_id)] == list(range(1, EPOCHS + 1))


def test_pause_and_resume_change_no_bit(live: LiveService, undisturbed: dict[str, Any]) -> None:
    job_id = live.submit(SPEC)
    for step in (50, 125, 201):
        live.reach(job_id, step)
        assert live.call("POST", f"/v1/jobs/{job_id}/pause").status_code == 202
        until(lambda: live.job(job_id)["status"] == "paused", 10, "the pause")
        assert live.call("POST", f"/v1/jobs/{job_id}/resume").status_code == 202
    job = live.finish(job_id)
    assert job["result"]["weights_sha256"] == undisturbed["weights_sha256"]
    assert [row["epoch"] for row in live.metrics(job_id)] == list(range(1, EPOCHS + 1))


def test_nothing_outlives_a_stopped_or_killed_service_and_it_goes_on(
    tmp_path: Path, live: LiveService, undisturbed: dict[str, Any]
) -> None:
    before = shared_memory()
    service = LiveService(tmp_path / "data", DELTAQ_CHECKPOINT_S="0.4")
    job_id = service.submit(SPEC)
    for number, step in ((signal.SIGTERM, MIDDLE), (signal.SIGKILL, 2 * MIDDLE)):
        service.reach(job_id, step)
        service.stop(number)
        until(lambda: shared_memory() <= before, 10, "an empty /dev/shm")
        service = LiveService(tmp_path / "data", DELTAQ_CHECKPOINT_S="0.4")
    job = service.finish(job_id)
    assert job["result"]["weights_sha256"] == undisturbed["weights_sha256"]
    assert [row["epoch"] for row in service.metrics(job_id)] == list(range(1, EPOCHS + 1))
    logged = [line["message"] for line in service.call("GET", f"/v1/jobs/{job_id}/logs").json()["items"]]
    assert any("drained" in line for line in logged), logged
    service.stop()


def test_cancel_takes_at_most_a_second_or_a_step(live: LiveService) -> None:
    job_id = live.submit({**SPEC, "epochs": 100_000})
    live.reach(job_id, 10)
    assert live.call("POST", f"/v1/jobs/{job_id}/cancel").status_code == 202
    until(lambda: live.job(job_id)["status"] == "cancelled", 1.5, "the cancellation")
