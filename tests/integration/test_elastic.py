"""A running job makes room for another and takes it back, without a restart and with the bits of an undisturbed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.live import LiveService, running, until

pytestmark = pytest.mark.timeout(240)

WIDE: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [256, 128], "dropout": 0.1, "normalization": "batch"},  # large enough to gain by a worker
    "batch_size": 512,
    "shards": 4,
    "epochs": 200,
    "optimizer": {"name": "adam"},
    "workers": {"min": 1, "max": 2},
}
NARROW: dict[str, Any] = {"dataset": "digits", "network": {"hidden": [16]}, "epochs": 40, "seed": 3}


def served(live: LiveService, wanted: dict[str, int]) -> None:
    """Wait until so many workers serve each job."""

    def so() -> bool:
        jobs = [worker["job"] for worker in live.call("GET", "/v1/cluster").json()["workers"]]
        return all(jobs.count(job) == count for job, count in wanted.items())

    until(so, 30.0, f"workers by job: {wanted}")


def test_a_job_shrinks_for_another_and_grows_again_with_the_same_bits(live: LiveService) -> None:
    alone = live.finish(live.submit({**WIDE, "workers": {"min": 1, "max": 1}}))["result"]
    narrow_alone = live.finish(live.submit(NARROW))["result"]
    wide = live.submit(WIDE)
    live.reach(wide, 1)
    served(live, {wide: 2})
    narrow = live.submit(NARROW)
    assert live.finish(narrow)["result"]["weights_sha256"] == narrow_alone["weights_sha256"]  # on what wide gave up
    assert live.job(wide)["status"] == "running"
    served(live, {wide: 2, narrow: 0})
    job = live.finish(wide)
    assert job["result"]["weights_sha256"] == alone["weights_sha256"]
    assert (job["attempt"], job["result"]["workers_used"], alone["workers_used"]) == (1, 2, 1)
    assert [row["epoch"] for row in live.metrics(wide)] == list(range(1, WIDE["epochs"] + 1))


def served_by(live: LiveService, job: str) -> list[int]:
    """The processes of the workers that serve a job."""
    return [
        worker["pid"]
        for worker in live.call("GET", "/v1/cluster").json()["workers"]
        if worker["job"] == job and worker["pid"]
    ]


def computes(pid: int) -> bool:
    """Whether it reads the weights of some job."""
    return running(pid) and "memfd:deltaq-weights" in Path(f"/proc/{pid}/maps").read_text()


def test_a_job_gets_new_workers_for_dead_ones_and_obeys_a_new_scheduler(live: LiveService) -> None:
    job = live.submit({**WIDE, "epochs": 10**6})
    live.reach(job, 1)
    first = until(lambda: pids if any(map(computes, pids := served_by(live, job))) else None, 30.0, "two workers")
    assert len(first) == 2
    for pid in first:  # on one of the slots the runner computes itself
        live.kill(pid)
    step = live.job(job)["progress"]["step"]
    until(
        lambda: any(map(computes, set(served_by(live, job)) - set(first))), 60.0, "a worker that was not there before"
    )
    live.reach(job, step + 1)
    live.kill(live.part("-m service scheduler"))
    live.finish(live.submit(NARROW))  # on what the next one had the job give up
    assert live.job(job)["attempt"] == 1
    live.call("POST", f"/v1/jobs/{job}/cancel")
    live.finish(job, "cancelled")
