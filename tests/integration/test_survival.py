"""Each part is SIGKILLed in the middle of a job: its bits are those of an undisturbed run, and nothing stays behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.errors import Diverged, LeaseLost
from service.jobs import CheckpointRef, Lease
from service.queue import Queue
from tests.integration.live import LiveService, running, until

pytestmark = pytest.mark.timeout(300)

EPOCHS = 200
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
EARLY = 90  # of 1200 steps: a checkpoint is there, and most of the work is not done


@dataclass(frozen=True)
class Victim:
    """A part of the service; `new_lease`: who runs the job goes with it, so that another one has to go on."""

    name: str
    find: Callable[[LiveService], int]
    new_lease: bool = False


WORKER = Victim("worker", lambda live: live.pid("workers"))
PARAMETER_SERVER = Victim("parameter_server", lambda live: live.pid("runners"), new_lease=True)
VICTIMS = [
    WORKER,
    PARAMETER_SERVER,
    Victim("scheduler", lambda live: live.part("-m service scheduler")),
    Victim("api", lambda live: live.part("-m api")),
    Victim("redis", lambda live: live.part("valkey-server")),
    Victim("ray", lambda live: live.part("gcs_server"), new_lease=True),
]


@pytest.fixture(scope="module")
def undisturbed(live: LiveService) -> dict[str, Any]:
    """The job's result when nothing happens."""
    return dict(live.finish(live.submit(SPEC))["result"])


def assert_refused(queue: Queue, lease: Lease) -> None:
    """Whoever holds this lease writes nothing."""
    for late in (
        lambda: queue.beat(lease, {"step": -1}),
        lambda: queue.record_epoch(lease, {"epoch": EPOCHS + 1}),
        lambda: queue.record_checkpoint(lease, CheckpointRef("late", "0" * 64, 1, {})),
        lambda: queue.begin_again(lease, CheckpointRef("late", "0" * 64, 1, {}), "late"),
        lambda: queue.log(lease, "info", "late"),
        lambda: queue.fail(lease, Diverged("late")),
        lambda: queue.release(lease, "late"),
    ):
        with pytest.raises(LeaseLost):
            late()


def assert_same_bits(live: LiveService, job: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    """The job went the same way as the undisturbed one."""
    for name in ("weights_sha256", "steps", "validation_loss"):
        assert job["result"][name] == undisturbed[name]
    assert [row["epoch"] for row in live.metrics(job["id"])] == list(range(1, EPOCHS + 1))


def disturb(live: LiveService, job_id: str, pid: int, number: int) -> Lease:
    """Send a signal to a process in the middle of the job, and see that the job was not over; answers its lease."""
    live.reach(job_id, EARLY)
    lease = live.lease(job_id)
    os.kill(pid, number)
    assert not live.record(job_id).status.terminal
    return lease


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: victim.name)
def test_a_killed_part_changes_no_bit(live: LiveService, undisturbed: dict[str, Any], victim: Victim) -> None:
    job_id = live.submit(SPEC)
    live.reach(job_id, 1)
    pid, shared = victim.find(live), live.shared_memory()
    lease = disturb(live, job_id, pid, signal.SIGKILL)
    if victim.new_lease:
        later = live.lease(job_id, after=lease)
        assert later.generation > lease.generation
        assert_refused(live.queue, lease)
        assert live.lease(job_id) == later
    job = live.finish(job_id)
    assert not running(pid)
    assert (job["attempt"] > 1) == victim.new_lease
    assert_same_bits(live, job, undisturbed)
    assert_refused(live.queue, lease)
    assert live.job(job_id) == job
    assert live.forgotten(shared) == set()


@pytest.mark.parametrize("victim", [WORKER, PARAMETER_SERVER], ids=lambda victim: victim.name)
def test_a_part_that_is_stopped_and_wakes_changes_no_bit(
    live: LiveService, undisturbed: dict[str, Any], victim: Victim
) -> None:
    job_id = live.submit(SPEC)
    live.reach(job_id, 1)
    pid = victim.find(live)
    disturb(live, job_id, pid, signal.SIGSTOP)
    job = live.finish(job_id)
    assert (job["attempt"] > 1) == victim.new_lease
    assert_same_bits(live, job, undisturbed)
    if running(pid):
        os.kill(pid, signal.SIGCONT)
    if victim.new_lease:
        until(lambda: not running(pid), 20, "the end of the process that nobody waits for")
    again = live.finish(live.submit(SPEC))  # a worker that woke serves again
    assert again["result"]["workers_used"] == 2
    assert_same_bits(live, again, undisturbed)
    assert live.job(job_id) == job


def test_pause_and_resume_change_no_bit(live: LiveService, undisturbed: dict[str, Any]) -> None:
    job_id = live.submit(SPEC)
    for step in (50, 125, 201):
        live.reach(job_id, step)
        assert live.call("POST", f"/v1/jobs/{job_id}/pause").status_code == 202
        until(lambda: live.job(job_id)["status"] == "paused", 10, "the pause")
        assert live.call("POST", f"/v1/jobs/{job_id}/resume").status_code == 202
    job = live.finish(job_id)
    assert job["attempt"] == 4
    assert_same_bits(live, job, undisturbed)


def test_an_asynchronous_job_loses_no_mini_batch_by_pauses_and_deaths(live: LiveService) -> None:
    job_id = live.submit({**SPEC, "shards": 1, "mode": "async"})
    for step, kind in ((EARLY, "workers"), (2 * EARLY, "runners")):
        live.reach(job_id, step)
        assert live.call("POST", f"/v1/jobs/{job_id}/pause").status_code == 202
        until(lambda: live.job(job_id)["status"] == "paused", 10, "the pause")
        assert live.call("POST", f"/v1/jobs/{job_id}/resume").status_code == 202
        live.reach(job_id, step + 50)
        live.kill(live.pid(kind))
    job, rows = live.finish(job_id), live.metrics(job_id)
    assert (job["progress"]["step"], job["result"]["workers_used"]) == (EPOCHS * 6, 2)
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    assert {sum(row["staleness"]) for row in rows} == {6}
    assert any(len(row["staleness"]) > 1 for row in rows)


def test_nothing_outlives_a_stopped_or_killed_service_and_it_goes_on(
    tmp_path: Path, live: LiveService, undisturbed: dict[str, Any]
) -> None:
    service = LiveService(tmp_path / "data", DELTAQ_CHECKPOINT_S="0.4")
    job_id = service.submit(SPEC)
    for number, step in ((signal.SIGTERM, EARLY), (signal.SIGKILL, 3 * EARLY)):
        service.reach(job_id, step)
        service.stop(number)
        service = LiveService(tmp_path / "data", DELTAQ_CHECKPOINT_S="0.4")
    job = service.finish(job_id)
    assert job["attempt"] == 3
    assert_same_bits(service, job, undisturbed)
    logged = [line["message"] for line in service.call("GET", f"/v1/jobs/{job_id}/logs").json()["items"]]
    assert any("drained" in line for line in logged), logged
    service.stop()


def test_cancel_takes_at_most_a_second_or_a_step(live: LiveService) -> None:
    job_id = live.submit({**SPEC, "epochs": 100_000})
    live.reach(job_id, 10)
    assert live.call("POST", f"/v1/jobs/{job_id}/cancel").status_code == 202
    until(lambda: live.job(job_id)["status"] == "cancelled", 1.5, "the cancellation")
