"""A step of two workers on two hosts, reached through Ray, beside the same on one host and on one worker.

    python -m benchmarks.hosts [--rounds 3]

Two services, each with Redis, Ray and its workers on hosts of their own as `tests/hosts` lays them out; needs root and
iproute2. The hosts share this machine's cores, and their network is its kernel's: no wire, and no wait for one. The
jobs take turns. What is beyond half of one worker's step is the exchange, with all that the runner does alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

from benchmarks.machine import described
from benchmarks.made_rows import LEARNING_RATE, PARAMETERS, SIZES, made
from benchmarks.tables import spread, table
from deltaq import Client
from tests.hosts import namespaces
from tests.hosts.cluster import Cluster

BATCHES = (64, 256, 1024)
HOSTS = """The hosts are network namespaces of this machine:
they share its cores, and no wire is between them. The path between nodes is not made for speed: weights and gradients
go through Ray's object store, as the same bits. Exchange: what is beyond half of one worker's step."""
STEPS = 128
ROWS = 8192


@contextmanager
def cluster_of(slots: Mapping[str, int]) -> Iterator[Cluster]:
    """A service with the rows, on hosts that offer so many slots each."""
    with (
        tempfile.TemporaryDirectory(prefix="deltaq-", dir="/tmp") as folder,
        closing(namespaces.Network(["head", *slots])) as network,
    ):
        with network.hosts["head"].inside():
            cluster = Cluster(network, slots, Path(folder))
            with Client(cluster.live.description["url"]) as client:
                client.datasets.add(tuple(made(ROWS)), "made", columns={"y": "categorical"})
        yield cluster
        with network.hosts["head"].inside():
            cluster.stop()


def step_ms(cluster: Cluster, batch: int, workers: int) -> float:
    """Milliseconds a step, of a whole job."""
    spec: dict[str, Any] = {
        "dataset": "made",
        "data": {"validation_fraction": 0},
        "network": {"hidden": list(SIZES[1:-1])},
        "batch_size": batch,
        "shards": 2,
        "epochs": max(1, STEPS * batch // ROWS),
        "optimizer": {"learning_rate": LEARNING_RATE},
        "workers": {"min": workers, "max": workers},
    }
    with cluster.inside():
        result = cluster.live.finish(cluster.live.submit(spec))["result"]
    if result["workers_used"] != workers:
        sys.exit(f"{result['workers_used']} workers served instead of {workers}")
    return float(1e3 * result["seconds"] / result["steps"])


def compare(rounds: int) -> None:
    """Run the rounds and print the table."""
    print(f"{'-'.join(map(str, SIZES))}, {PARAMETERS * 4 / 1e6:.2f} MB of parameters, two shards; milliseconds a step,")
    print(f"medians of {rounds} jobs, in brackets the least and the most. {HOSTS} Machine: {described()}.\n")
    rows = []
    with cluster_of({"both": 2}) as one_host, cluster_of({"first": 1, "second": 1}) as two_hosts:
        sides = [(one_host, 1), (one_host, 2), (two_hosts, 2)]
        for batch in BATCHES:
            for cluster, workers in sides:
                step_ms(cluster, batch, workers)  # warm
            times = [[step_ms(cluster, batch, workers) for cluster, workers in sides] for _ in range(rounds)]
            alone, near, far = zip(*times, strict=True)
            exchange = statistics.median(far) - statistics.median(alone) / 2
            rows.append([str(batch), *map(spread, (alone, near, far)), f"{exchange:.2f}"])
    print(table(["batch", "one worker", "two on one host", "two on two hosts", "exchange between hosts"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description="a step of workers on two hosts beside one host")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if lacking := namespaces.lacking():
        print(f"Left out: {lacking}.")
    else:
        compare(rounds)


if __name__ == "__main__":
    main()
