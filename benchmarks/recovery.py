"""How soon a job whose runner is killed trains again, and how much of it is computed twice.

    python -m benchmarks.recovery [--kills 20]

A service of two workers, as users run it, with a checkpoint every second. One long job runs; each time its runner is
killed by SIGKILL at a moment by chance, the time is taken until the job has done a new step.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from benchmarks.service import running_service
from benchmarks.tables import table

CHECKPOINT_S = 1.0
GOAL_S = 15.0
LOOK_S = 0.01
SPEC: dict[str, Any] = {"dataset": "digits", "network": {"hidden": [64, 64]}, "epochs": 1_000_000}


def until_running(job: Any, attempt: int, step: int) -> float:
    """When the job is in this attempt and beyond this step."""
    while True:
        job.refresh()
        if job.status == "running" and job.record.attempt >= attempt and job.progress.step != step:
            return time.perf_counter()
        time.sleep(LOOK_S)


def steps_per_s(job: Any) -> float:
    """How fast the job trains when nothing happens to it."""
    first, begun = job.refresh().progress.step, time.perf_counter()
    time.sleep(3.0)
    return float(job.refresh().progress.step - first) / (time.perf_counter() - begun)


def killed(client: Any, job: Any) -> float:
    """Kill the job's runner; answers the seconds until it trains again."""
    job.refresh()
    attempt = job.record.attempt
    runner = next(one for one in client.cluster()["runners"] if one["job"] == job.id)
    begun = time.perf_counter()
    os.kill(int(runner["pid"]), signal.SIGKILL)
    while job.refresh().record.attempt == attempt:
        time.sleep(LOOK_S)
    return until_running(job, attempt + 1, job.progress.step) - begun


def begun_again_at(job: Any, times: int) -> int:
    """The step at which the job has begun again, this number of times by now; the beat that shows it says so last."""
    steps = list[str]()
    while len(steps) < times:
        said = "\n".join(line["message"] for line in job.logs())
        steps = re.findall(r"^(?:Going on from|Beginning at) step (\d+)", said, re.MULTILINE)
    return int(steps[-1])


def measured(kills: int) -> tuple[list[float], list[float]]:
    """Seconds until it trains again, and seconds of training that were lost, of each kill."""
    from deltaq import Client, DataWarning

    warnings.simplefilter("ignore", DataWarning)
    chance, again, lost = random.Random(1), list[float](), list[float]()
    os.environ |= {"DELTAQ_CHECKPOINT_S": str(CHECKPOINT_S), "DELTAQ_MAX_DEATHS": "1000"}
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as folder,
        running_service(Path(folder)) as url,
        Client(url) as client,
    ):
        job = client.submit(SPEC)
        until_running(job, 1, 0)
        speed = steps_per_s(job)
        for number in range(kills):
            time.sleep(chance.uniform(1.5, 4.0))
            before: Any = job.refresh().progress
            again.append(killed(client, job))
            lost.append(max(0, before.step - begun_again_at(job, number + 1)) / speed)
        job.cancel()
    return again, lost


def main() -> None:
    parser = argparse.ArgumentParser(description="how soon a killed job trains again")
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    again, lost = measured(options.kills)
    print(f"{options.kills} kills of a runner in training, a checkpoint every {CHECKPOINT_S:g} s.")
    print(f"Machine: {described()}.\n")
    rows = [
        ["until it trains again, s", *figures(again), f"≤ {GOAL_S:g} at the 95th percentile"],
        ["training computed twice, s", *figures(lost), f"≤ {CHECKPOINT_S:g}, one interval"],
    ]
    print(table(["", "median", "95th percentile", "most", "goal"], rows))


def figures(values: list[float]) -> list[str]:
    """The median, the 95th percentile, the largest."""
    ninety_fifth = sorted(values)[max(0, round(0.95 * len(values)) - 1)]
    return [f"{value:.2f}" for value in (statistics.median(values), ninety_fifth, max(values))]


if __name__ == "__main__":
    main()
