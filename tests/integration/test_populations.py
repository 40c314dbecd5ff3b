"""Trials that are trained as one, on a whole service: what happens to their runner happens to none of their bits."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.live import LiveService, until

pytestmark = pytest.mark.timeout(300)

TRIALS = 10
SWEEP: dict[str, Any] = {
    "base": {
        "dataset": "digits",
        "network": {"hidden": [32], "dropout": 0.1},
        "epochs": 60,
        "batch_size": 64,
        "optimizer": {"momentum": 0.9},
    },
    "space": {
        "optimizer.learning_rate": {"log_uniform": [0.003, 0.1]},
        "network.dropout": {"uniform": [0.1, 0.4]},
        "seed": {"int": [0, 5]},
    },
    "sampler": "random",
    "trials": TRIALS,
}


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = Path(tmp_path_factory.mktemp("populations")) / "data"
    service = LiveService(folder, DELTAQ_LEASE_S="2", DELTAQ_CHECKPOINT_S="0.3")
    yield service
    service.stop()


def begin(service: LiveService, **changes: Any) -> str:
    answer = service.call("POST", "/v1/sweeps", json={**SWEEP, **changes})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def trials(service: LiveService, sweep_id: str) -> list[dict[str, Any]]:
    """In the order of their numbers."""
    found = service.call("GET", f"/v1/sweeps/{sweep_id}/trials?limit=500").json()["items"]
    return sorted(found, key=lambda trial: int(trial["number"]))


def over(service: LiveService, sweep_id: str) -> bool:
    return service.call("GET", f"/v1/sweeps/{sweep_id}").json()["status"] in ("succeeded", "failed", "cancelled")


def running(service: LiveService, sweep_id: str) -> list[dict[str, Any]]:
    """The jobs that have trained for a while, and still do."""
    found = service.call("GET", f"/v1/jobs?sweep={sweep_id}&status=running&limit=500").json()["items"]
    return [job for job in found if job["progress"]["step"] > 50]


def ended(service: LiveService, sweep_id: str) -> list[dict[str, Any]]:
    """Its jobs in the order of its trials, when all have ended."""
    until(partial(over, service, sweep_id), 120, "the end of the sweep")
    return [service.job(trial["job_id"]) for trial in trials(service, sweep_id)]


@pytest.fixture(scope="module")
def undisturbed(brisk: LiveService) -> list[dict[str, Any]]:
    jobs = ended(brisk, begin(brisk))
    assert all(job["result"]["fused_with"] > 0 for job in jobs)
    assert {job["attempt"] for job in jobs} == {1}
    return jobs


def weights(jobs: list[dict[str, Any]]) -> list[str]:
    assert {job["status"] for job in jobs} == {"succeeded"}
    return [job["result"]["weights_sha256"] for job in jobs]


def test_a_killed_runner_costs_no_trial_a_bit_and_each_is_what_it_is_alone(
    brisk: LiveService, undisturbed: list[dict[str, Any]]
) -> None:
    sweep_id = begin(brisk)
    (first, *_) = until(partial(running, brisk, sweep_id), 60, "trials that train")
    os.kill(brisk.pid("runners"), signal.SIGKILL)
    struck = ended(brisk, sweep_id)
    assert max(job["attempt"] for job in struck) == 2
    assert weights(struck) == weights(undisturbed)

    for job in struck[::4]:
        alone = brisk.finish(brisk.submit({**job["spec"], "reuse": False}))
        assert "fused_with" not in alone["result"]
        assert alone["result"]["weights_sha256"] == job["result"]["weights_sha256"]
        ours, own = ([row["train_loss"] for row in brisk.metrics(one["id"])] for one in (job, alone))
        assert ours == own
    assert first["id"] in {job["id"] for job in struck}


def test_a_member_that_is_cancelled_and_one_that_is_paused_leave_and_the_rest_goes_on(
    brisk: LiveService, undisturbed: list[dict[str, Any]]
) -> None:
    sweep_id = begin(brisk)
    until(partial(running, brisk, sweep_id), 60, "trials that train")
    cancelled, paused = (trial["job_id"] for trial in trials(brisk, sweep_id)[:2])
    assert brisk.call("POST", f"/v1/jobs/{cancelled}/cancel").status_code == 202
    assert brisk.call("POST", f"/v1/jobs/{paused}/pause").status_code == 202
    until(lambda: brisk.job(paused)["status"] == "paused", 30, "the pause")
    brisk.call("POST", f"/v1/jobs/{paused}/resume")
    jobs = ended(brisk, sweep_id)
    assert jobs[0]["status"] == "cancelled"
    assert weights(jobs[1:]) == weights(undisturbed)[1:]
    (kept,) = [trial["status"] for trial in trials(brisk, sweep_id) if trial["job_id"] == cancelled]
    assert kept == "cancelled"


def test_drained_by_a_restart_all_go_on_to_the_same_bits(brisk: LiveService, undisturbed: list[dict[str, Any]]) -> None:
    sweep_id = begin(brisk)
    until(partial(running, brisk, sweep_id), 60, "trials that train")
    os.kill(brisk.part("-m service scheduler"), signal.SIGTERM)
    assert weights(ended(brisk, sweep_id)) == weights(undisturbed)
    idle = until(lambda: len(brisk.idle_slots()) == 2 or None, 30, "all slots free")
    assert idle
    assert brisk.redis("KEYS", "deltaq:population:*") == brisk.redis("KEYS", "deltaq:fusable:*") == []
    assert brisk.redis("HMGET", "deltaq:tenant:default", "jobs", "slots") == ["0", "0"]


def test_a_pruner_stops_members_at_the_epoch_that_it_judged_and_the_rest_has_its_bits(
    brisk: LiveService, undisturbed: list[dict[str, Any]]
) -> None:
    sweep_id = begin(brisk, pruner="asha")
    jobs = ended(brisk, sweep_id)
    found = trials(brisk, sweep_id)
    pruned = [trial for trial in found if trial["status"] == "pruned"]
    assert 0 < len(pruned) < TRIALS
    for trial, job, alone in zip(found, jobs, undisturbed, strict=True):
        rows, whole = brisk.metrics(job["id"]), brisk.metrics(alone["id"])
        assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in whole[: len(rows)]]
        if trial["status"] == "pruned":
            assert len(rows) == job["result"]["pruned_at"] < 60
        else:
            assert job["result"]["weights_sha256"] == alone["result"]["weights_sha256"]
