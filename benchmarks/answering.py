"""How soon the API answers while a sweep's trials wait: ten thousand of them queued, both workers training others.

    python -m benchmarks.answering [--queued 10000] [--seconds 30]

One caller asks a running service (`deltaq up`, two workers) one thing after the other, a pause between; each answer is
timed from the call to its last byte.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from benchmarks.machine import described
from benchmarks.peers.search import HIGHEST, LOWEST
from benchmarks.service import SPEC, running_service
from benchmarks.tables import table

GOAL_MS = 100
PAUSE_S = 0.01
QUEUED_S = 300.0
ENDLESS = {**SPEC, "epochs": 100_000}  # both workers are busy throughout

Times = Mapping[str, Sequence[float]]


def queued(api: httpx.Client, trials: int) -> str:
    """Start a sweep, and wait until all its trials are jobs; returns its id."""
    space = {"optimizer.learning_rate": {"log_uniform": [LOWEST, HIGHEST]}}
    spec = {"base": ENDLESS, "space": space, "sampler": "random", "trials": trials, "parallel": trials}
    sweep: str = api.post("/v1/sweeps", json=spec).raise_for_status().json()["id"]
    deadline = time.monotonic() + QUEUED_S
    while api.get(f"/v1/sweeps/{sweep}").json()["progress"]["open"] < trials:
        if time.monotonic() > deadline:
            raise SystemExit(f"{trials} trials were not queued in {QUEUED_S:g} s")
        time.sleep(0.5)
    return sweep


def timed(api: httpx.Client, sweep: str, seconds: float) -> Times:
    """Seconds of each answer, by what was asked."""
    job = api.get(f"/v1/jobs?sweep={sweep}&limit=1").json()["items"][0]["id"]

    def submit() -> httpx.Response:
        return api.post("/v1/jobs", json=SPEC)

    reads = (
        "/v1/jobs",
        f"/v1/jobs/{job}",
        f"/v1/jobs?sweep={sweep}",
        f"/v1/sweeps/{sweep}",
        f"/v1/sweeps/{sweep}/trials",
        "/v1/sweeps",
        "/v1/cluster",
        "/readyz",
    )
    named = {path.replace(job, "{job}").replace(sweep, "{sweep}"): path for path in reads}
    calls: dict[str, Callable[[], httpx.Response]] = {
        f"GET {name}": lambda path=path: api.get(path)  # type: ignore[misc]
        for name, path in named.items()
    }
    calls["POST /v1/jobs"] = submit
    found: dict[str, list[float]] = {name: [] for name in calls}
    deadline = time.monotonic() + seconds
    for name, call in itertools.cycle(calls.items()):
        begun = time.perf_counter()
        call().raise_for_status()
        found[name].append(time.perf_counter() - begun)
        time.sleep(PAUSE_S)
        if time.monotonic() > deadline:
            return found
    raise AssertionError("calls never end")


def shown(found: Times) -> str:
    """The table, all calls together in its last row."""
    rows = [_row(f"`{name}`", times) for name, times in found.items()]
    every = [one for times in found.values() for one in times]
    return table(
        ["", "calls", "median ms", "p99 ms", "worst ms", "goal"], [*rows, _row("all", every, f"p99 ≤ {GOAL_MS}")]
    )


def _row(name: str, times: Sequence[float], goal: str = "") -> Sequence[str]:
    ordered = sorted(1000 * one for one in times)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return [name, f"{len(ordered)}", f"{statistics.median(ordered):.1f}", f"{p99:.1f}", f"{ordered[-1]:.1f}", goal]


def main() -> None:
    parser = argparse.ArgumentParser(description="the API's answers beside a long sweep")
    parser.add_argument("--queued", type=int, default=10_000, help="trials")
    parser.add_argument("--seconds", type=float, default=30.0, help="of asking")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as folder,
        running_service(Path(folder, "data")) as url,
        httpx.Client(base_url=url, timeout=60) as api,
    ):
        found = timed(api, queued(api, options.queued), options.seconds)
        print(f"{options.queued:,} trials of one sweep have not ended: two populations of them train, the others are")
        print(f"queued. One call after the other, {1000 * PAUSE_S:g} ms between. Machine: {described()}.\n")
        print(shown(found))


if __name__ == "__main__":
    main()
