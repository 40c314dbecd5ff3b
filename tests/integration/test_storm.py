"""Parts killed one after the other, at random moments by a seed, while jobs come: each ends with its bits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.live import LiveService, until

SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [32]},
    "batch_size": 256,
    "shards": 2,
    "epochs": 60,
    "optimizer": {"momentum": 0.9, "learning_rate": 0.02},
}
WORKERS = ({"min": 1, "max": 1}, {"min": 2, "max": 2})
PAUSE_S = (0.5, 4.0)  # between two kills

VICTIMS: dict[str, Callable[[LiveService], int]] = {
    "worker": lambda live: live.pid("workers", busy=False),
    "runner": lambda live: live.pid("runners", busy=False),
    "scheduler": lambda live: live.part("-m service scheduler"),
    "api": lambda live: live.part("-m api"),
    "redis": lambda live: live.part("valkey-server"),
    "gcs": lambda live: live.part("gcs_server"),
    "raylet": lambda live: live.part("raylet/raylet"),
}


def strike(live: LiveService, find: Callable[[LiveService], int]) -> None:
    """Kill the part; what was shown of it may be older than its end, and Ray killed while it starts takes a minute."""

    def struck() -> bool:
        try:
            live.kill(find(live))
        except (ProcessLookupError, AssertionError):
            return False
        return True

    until(struck, 150, "a part that lives")


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(3, marks=pytest.mark.timeout(300)),
        pytest.param(30, marks=[pytest.mark.chaos, pytest.mark.timeout(3000)]),
    ],
)
def test_a_storm_of_kills_loses_no_job_and_no_bit(live: LiveService, kills: int) -> None:
    """Two jobs, a kill, two jobs, a kill …, and a look at every job that came."""
    chance = random.Random(kills)  # the same storm each time
    undisturbed = live.finish(live.submit(SPEC))["result"]["weights_sha256"]
    jobs = []
    for _ in range(kills):
        jobs += [live.submit({**SPEC, "workers": chance.choice(WORKERS)}) for _ in range(2)]
        time.sleep(chance.uniform(*PAUSE_S))  # the storm's own rhythm; nothing is waited for
        strike(live, VICTIMS[chance.choice(sorted(VICTIMS))])
    results = [live.finish(job) for job in jobs]
    assert {job["result"]["weights_sha256"] for job in results} == {undisturbed}
    for job in jobs:
        assert [row["epoch"] for row in live.metrics(job)] == list(range(1, SPEC["epochs"] + 1))
