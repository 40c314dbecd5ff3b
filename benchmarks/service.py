"""A whole job on a warm service, from the POST to its success, beside the same fit by peers; and its first step.

    python -m benchmarks.service [--peer-python PYTHON] [--rounds 20] [--slow-rounds 2]

The service runs as users run it (`deltaq up`, two workers, Redis flushing each change to disk). scikit-learn trains in
one process, with no queue, no checkpoint and no API; H2O-3 on a warm cluster that has the rows; Ray Train by a new
trainer on a warm Ray. All take turns, on the clock.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from benchmarks.peers.digits import BATCH, EPOCHS, HIDDEN
from benchmarks.sides import Absent, Side
from benchmarks.tables import spread, table

START_S = 120.0
WARM_ROUNDS = 3
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [HIDDEN]},
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "workers": {"max": 2},
}
ONE_STEP = {**SPEC, "epochs": 1, "batch_size": "full"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
JOB_GOAL_MS, FIRST_STEP_GOAL_MS = 500, 100


@contextmanager
def running_service(data_dir: Path | None = None) -> Iterator[str]:
    """A service of its own, as long as the context lasts; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir, log = data_dir or Path(folder, "data"), Path(folder, "log")
        command = [sys.executable, "-m", "service", "up", "--port", "0", "--data-dir", str(data_dir), "--workers", "2"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield wait_for(data_dir / "service.json", process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for(description: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the service's address once it is ready."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if description.exists():
            return str(json.loads(description.read_text())["url"])
        time.sleep(0.05)
    sys.exit(f"the service did not start in {START_S:g} s")


def timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(client: Any, name: str, command: Sequence[str], rounds: int) -> list[str]:
    """A peer's row of the table: deltaq's jobs take turns with its own."""
    try:
        peer = Side(command, ONE_THREAD)
    except Absent as missing:
        return [f"{name}, left out: {missing}", "", "", "", ""]
    for _ in range(WARM_ROUNDS if rounds > WARM_ROUNDS else 0):  # a slow one is measured as it comes
        peer.ask(None)
        client.submit(SPEC).wait()
    pairs = [(timed(lambda: client.submit(SPEC).wait()), float(peer.ask(None))) for _ in range(rounds)]
    peer.close()
    mine, theirs = (f"{1e3 * statistics.median(times):,.0f}" for times in zip(*pairs, strict=True))
    ratios = [other / own for own, other in pairs]
    return [f"{peer.version}, {name}", theirs, mine, spread(ratios), str(rounds)]


def moments_ms(client: Any, data_dir: Path, workers: int) -> dict[str, float]:
    """Of a job of one step: milliseconds from before its POST to what follows it."""
    begun = time.time()
    shards = {"shards": workers, "workers": {"min": workers, "max": workers}}
    job = client.submit({**ONE_STEP, **shards})
    accepted = time.time()
    job.wait()
    over = time.time()
    claimed = datetime.fromisoformat(job.record.started_at).timestamp()
    (model,) = (data_dir / "artifacts" / "models" / job.id).iterdir()
    moments = {"accepted": accepted, "claimed": claimed, "model written": model.stat().st_mtime, "succeeded": over}
    return {name: 1e3 * (moment - begun) for name, moment in moments.items()}


def first_steps(client: Any, data_dir: Path, rounds: int) -> str:
    """The table of the way to the first step."""
    rows = []
    for workers in (1, 2):
        every = [moments_ms(client, data_dir, workers) for _ in range(WARM_ROUNDS + rounds)][WARM_ROUNDS:]
        found = [f"{statistics.median(one[name] for one in every):.0f}" for name in every[0]]
        rows.append([str(workers), *found, f"≤ {FIRST_STEP_GOAL_MS}"])
    return table(
        ["workers", "accepted", "claimed", "first step done, model written", "succeeded", "goal of the first step"],
        rows,
    )


def show(client: Any, data_dir: Path, options: argparse.Namespace) -> None:
    """Print the tables."""
    python, rounds = [options.peer_python, "-m"], options.rounds
    print(
        f"digits, 64-{HIDDEN}-10, {EPOCHS} epochs, batch {BATCH}, float32, SGD; milliseconds from the POST to succeeded"
    )
    print(f"on a warm service, medians. deltaq's goal: ≤ {JOB_GOAL_MS}. Machine: {described()}.\n")
    rows = [
        compare(client, "in one process", [*python, "benchmarks.peers.scikit_learn", "job"], rounds),
        compare(client, "warm", [*python, "benchmarks.peers.h2o_cluster", "job"], rounds),
        compare(client, "new trainer", [*python, "benchmarks.peers.ray_train", "job"], options.slow_rounds),
    ]
    print(table(["peer", "peer", "deltaq", "peer / deltaq", "rounds"], rows), "\n")
    print("A job of one step on all rows at once: milliseconds since before its POST, medians. Its first step is done")
    print("before its model is written.\n")
    print(first_steps(client, data_dir, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description="a job on a warm service beside the same fit by peers")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peers")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--slow-rounds", type=int, default=2, help="of Ray Train")
    options = parser.parse_args()
    from deltaq import Client

    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder, "data")
        with running_service(data_dir) as url, Client(url) as client:
            show(client, data_dir, options)


if __name__ == "__main__":
    main()
