"""Parts killed one after the other, at random moments by a seed, while jobs come: each ends with its bits."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.live import LiveService, running, until

SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [32]},
    "batch_size": 256,
    "shards": 2,
    "epochs": 60,
    "optimizer": {"momentum": 0.9, "learning_rate": 0.02},
}
WORKERS = ({"min": 1, "max": 1}, {"min": 2, "max": 2})
PAUSE_S = (0.2, 2.0)  # between two kills

VICTIMS: dict[str, Callable[[LiveService], int]] = {
    "worker": lambda live: live.pid("workers", busy=False),
    "runner": lambda live: live.pid("runners", busy=False),
    "scheduler": lambda live: live.part("-m service scheduler"),
    "api": lambda live: live.part("-m api"),
    "redis": lambda live: live.part("valkey-server"),
    "gcs": lambda live: live.part("gcs_server"),
    "raylet": lambda live: live.part("raylet/raylet"),
}
# Of twenty blows each part gets so many; after the death of Ray all of it starts anew, which takes seconds.
BLOWS = ["worker"] * 5 + ["runner"] * 6 + ["scheduler"] * 2 + ["api"] * 2 + ["redis"] * 3 + ["gcs", "raylet"]


def strike(live: LiveService, find: Callable[[LiveService], int], number: int = signal.SIGKILL) -> int:
    """Signal the part; what is shown of it may be older than its end, and a Ray killed at its start takes a minute."""
    struck: list[int] = []

    def strike_once() -> list[int]:
        try:
            pid = find(live)
            os.kill(pid, number)
            if number == signal.SIGKILL:
                until(lambda: not running(pid), 10.0, f"the end of process {pid}")
        except (ProcessLookupError, AssertionError):
            return []
        struck.append(pid)
        return struck

    return until(strike_once, 150, "a part that lives")[0]


@pytest.mark.parametrize(
    ("kills", "stops"),
    [
        pytest.param(20, 1, marks=pytest.mark.timeout(400)),
        pytest.param(220, 10, marks=[pytest.mark.chaos, pytest.mark.timeout(5400)]),
    ],
)
def test_a_storm_of_kills_loses_no_job_and_no_bit(live: LiveService, kills: int, stops: int) -> None:
    """A job, a kill, a job, a kill …, and a look at every job that came."""
    chance = random.Random(kills)  # the same storm each time
    undisturbed = live.finish(live.submit(SPEC))["result"]["weights_sha256"]
    blows = [*BLOWS * (kills // len(BLOWS)), *["stop"] * stops]
    chance.shuffle(blows)
    jobs, stopped, shared = [], [], set[str]()
    for blow in blows:
        shared |= live.shared_memory()
        jobs.append(live.submit({**SPEC, "workers": chance.choice(WORKERS)}))
        time.sleep(chance.uniform(*PAUSE_S))  # the storm's own rhythm; nothing is waited for
        if blow == "stop":
            stopped.append(strike(live, VICTIMS["runner"], signal.SIGSTOP))
        else:
            strike(live, VICTIMS[blow])
    results = [live.finish(job) for job in jobs]
    for pid in filter(running, stopped):
        os.kill(pid, signal.SIGCONT)
    assert {job["result"]["weights_sha256"] for job in results} == {undisturbed}
    for job, result in zip(jobs, results, strict=True):
        assert [row["epoch"] for row in live.metrics(job)] == list(range(1, SPEC["epochs"] + 1))
        assert live.job(job) == result  # whoever woke since has written nothing
    until(lambda: len(live.idle_slots()) == 2, 60, "that both workers are free")
    assert live.queue.running() == []
    assert live.redis("HMGET", "deltaq:tenant:default", "jobs", "slots") == ["0", "0"]
    assert live.redis("KEYS", "deltaq:queue*") == live.redis("KEYS", "deltaq:later") == []
    assert live.forgotten(shared) == set()


def test_who_is_killed_while_it_trains_trains_again_soon(live: LiveService) -> None:
    """Once; how long it takes, `benchmarks/recovery.py` measures."""
    job_id = live.submit({**SPEC, "epochs": 2000})
    live.reach(job_id, 300)
    lease = live.lease(job_id)
    live.kill(live.pid("runners"))
    later = live.lease(job_id, after=lease)
    before = live.job(job_id)["progress"]["step"]
    until(lambda: live.lease(job_id) == later and live.job(job_id)["progress"]["step"] > before, 15, "more steps")
    assert live.call("POST", f"/v1/jobs/{job_id}/cancel").status_code == 202
    live.finish(job_id, "cancelled")
