"""A whole job on a warm service, from the POST to its success, beside scikit-learn's fit of the same network.

    python -m benchmarks.service [--rounds 20]

The service runs as users run it (`deltaq up`, two workers, Redis flushing each change to disk); scikit-learn trains in
this process, with no queue, no checkpoint and no API. They take turns. Times are on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import cpu_name

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
START_S = 120.0
SPEC: dict[str, Any] = {"dataset": "digits", "network": {"hidden": [64, 64]}, "epochs": 20, "batch_size": 32}


@contextmanager
def running_service() -> Iterator[str]:
    """A service of its own, as long as the context lasts; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir, log = Path(folder, "data"), Path(folder, "log")
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


def train_here() -> None:
    """scikit-learn's fit of the same network on the same number of rows, as often."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    x, y = load_digits(return_X_y=True)
    rows = len(x) - len(x) // 5
    x = StandardScaler().fit_transform(x[:rows]).astype("float32")
    model = MLPClassifier((64, 64), solver="sgd", learning_rate_init=0.1, momentum=0.0, batch_size=32, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it would like more epochs
        model.fit(x, y[:rows])


def timed(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def queue_wait_s(job: Any) -> float:
    """Seconds from acceptance to the claim, as the job's record has them."""
    record = job.record
    return (datetime.fromisoformat(record.started_at) - datetime.fromisoformat(record.created_at)).total_seconds()


def compare(rounds: int) -> None:
    """Run the rounds and print the table."""
    from deltaq import Client

    with running_service() as url, Client(url) as client:
        jobs: list[Any] = []

        def train_there() -> None:
            jobs.append(client.submit(SPEC).wait())

        for _ in range(3):  # actors stand, data is prepared, code is warm
            train_there()
            train_here()
        jobs.clear()
        pairs = [(timed(train_there), timed(train_here)) for _ in range(rounds)]
    ratios = sorted(theirs / mine for mine, theirs in pairs)
    spread = f"median of {rounds} ({ratios[0]:.2f} … {ratios[-1]:.2f})"
    print(f"machine   {cpu_name()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}")
    print("job       digits, 64-64-64-10, 20 epochs, batch 32, float32, SGD")
    print(f"deltaq    {milliseconds(mine for mine, _ in pairs)} ms   from the POST to succeeded, on a warm service")
    print(f"          {milliseconds(map(queue_wait_s, jobs))} ms   of it from accepted to claimed")
    print(f"peer      {milliseconds(theirs for _, theirs in pairs)} ms   scikit-learn's fit, in process")
    print(f"ratio     {statistics.median(ratios):8.2f}      peer / deltaq, {spread}")


def milliseconds(times_s: Iterable[float]) -> str:
    return f"{1e3 * statistics.median(times_s):8.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="a job on a warm service beside scikit-learn's fit")
    parser.add_argument("--rounds", type=int, default=20)
    os.environ.update(ONE_THREAD)
    compare(parser.parse_args().rounds)


if __name__ == "__main__":
    main()
