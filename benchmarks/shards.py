"""A step by the number of its shards, on one worker and on two: jobs on a running service.

    python -m benchmarks.shards [--rounds 3] [--turn-s 0.5]

More shards let more workers serve a job, and each product has fewer rows, which costs more a row.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from benchmarks.contestants import Served, service_with_rows
from benchmarks.machine import described
from benchmarks.made_rows import ROWS
from benchmarks.tables import table
from benchmarks.throughput import BATCHES, Budget, speeds

SHARDS = (1, 2, 4, 8)


def step_ms(client: Any, batch: int, workers: int, budget: Budget) -> list[str]:
    """Milliseconds a step, for each number of shards that so many workers can share."""
    usable = [shards for shards in SHARDS if shards >= workers]
    served = [Served(client, shards, workers, f"{shards} shards") for shards in usable]
    found = speeds(served, batch, budget)
    medians = [f"{1e3 * batch / statistics.median(found[one.name]):.3f}" for one in served]
    return [""] * (len(SHARDS) - len(usable)) + medians


def main() -> None:
    parser = argparse.ArgumentParser(description="a step by the number of its shards")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turn-s", type=float, default=0.5)
    budget = Budget(**vars(parser.parse_args()))
    print(f"784-256-128-10, {ROWS:,} rows, float32, plain SGD; milliseconds a step, medians of {budget.rounds} jobs.")
    print(f"Machine: {described()}.\n")
    with service_with_rows() as client:
        rows = [
            [
                f"batch {batch}, {workers} {'workers' if workers > 1 else 'worker'}",
                *step_ms(client, batch, workers, budget),
            ]
            for batch in BATCHES
            for workers in (1, 2)
        ]
    print(table(["", *(f"{shards} shards" if shards > 1 else "1 shard" for shards in SHARDS)], rows))


if __name__ == "__main__":
    main()
