"""What a second worker costs and brings: a job's step on two workers beside the same on one, on a running service.

    python -m benchmarks.exchange [--rounds 3]

The estimates of `service/gang_size.py` are made of this: the exchange is a step on two workers less half of one on one.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
from typing import Any

from benchmarks.machine import cpu_name
from benchmarks.service import running_service

HIDDEN: list[list[int]] = [[64, 64], [512, 512], [1024, 1024], [2048, 2048]]
SPEC: dict[str, Any] = {"dataset": "digits", "batch_size": 512, "shards": 2, "epochs": 8}


def step_ms(client: Any, hidden: list[int], workers: int) -> float:
    """Milliseconds a step, of a whole job."""
    spec = {**SPEC, "network": {"hidden": hidden}, "workers": {"min": workers, "max": workers}}
    result = client.submit(spec).wait().result
    return float(1e3 * result["seconds"] / result["steps"])


def compare(rounds: int) -> None:
    """Run the rounds and print the table."""
    from deltaq import Client

    print(f"machine   {cpu_name()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}")
    print("job       digits, batch 512, two shards, float32; milliseconds a step, medians")
    print(f"{'hidden':>12}{'parameters':>12}{'one':>9}{'two':>9}{'exchange':>10}{'one / two':>11}")
    with running_service() as url, Client(url) as client:
        step_ms(client, HIDDEN[0], 2)
        for hidden in HIDDEN:
            pairs = [(step_ms(client, hidden, 1), step_ms(client, hidden, 2)) for _ in range(rounds)]
            one, two = (statistics.median(times) for times in zip(*pairs, strict=True))
            sizes = [64, *hidden, 10]
            count = sum((below + 1) * units for below, units in itertools.pairwise(sizes))
            name = "-".join(map(str, hidden))
            print(f"{name:>12}{count:>12,}{one:>9.2f}{two:>9.2f}{two - one / 2:>10.2f}{one / two:>11.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="a step on two workers beside one on one")
    parser.add_argument("--rounds", type=int, default=3)
    compare(parser.parse_args().rounds)


if __name__ == "__main__":
    main()
