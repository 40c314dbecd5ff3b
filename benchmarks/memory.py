"""What a gradient worker holds for a job, beyond what it held before its first: interpreter, Ray, NumPy, this code.

    python -m benchmarks.memory

Two workers of a running service. Memory of its own and shared blocks are told by Linux (`smaps_rollup`, Pss): a page
that several processes have counts in parts. What the batch buffers are is counted where they are made.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contestants import SPEC, service_with_rows
from benchmarks.gang import ARCHITECTURE, SHARDS, kept_rows
from benchmarks.machine import described
from benchmarks.made_rows import PARAMETERS, ROWS, SIZES
from benchmarks.tables import table
from benchmarks.throughput import BATCHES
from workers.shard_computer import Assignment, ShardComputer

MB = 1e6
PARAMETER_BYTES = 4 * PARAMETERS
DATA_BYTES = 4 * ROWS * (SIZES[0] + SIZES[-1])
LOOKS, LOOK_S = 20, 0.05
KINDS = ("worker", "runner")
MANY_EPOCHS = 5000  # the job is cancelled when it has been looked at


class Held(NamedTuple):
    """Bytes of a process: its own and its part of shared blocks; its part of mapped files."""

    memory: float
    files: float

    @classmethod
    def by(cls, pid: int) -> Held:
        """As Linux has it now."""
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {name: 1024 * int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return cls(sizes["Pss_Anon"] + sizes["Pss_Shmem"], sizes["Pss_File"])

    def less(self, other: Held) -> Held:
        """What is more than the other's."""
        return Held(self.memory - other.memory, self.files - other.files)


def idle_actors(client: Any) -> dict[str, int]:
    """The processes of runners and workers, by name, once all are idle: one that has grown is replaced."""
    quiet = 0
    while quiet < LOOKS:
        time.sleep(LOOK_S)
        cluster = client.cluster()
        actors = [*cluster["workers"], *cluster["runners"]]
        quiet = quiet + 1 if all(actor["state"] == "idle" for actor in actors) else 0
    return {actor["name"]: actor["pid"] for actor in actors}


def batch_buffers(batch: int) -> int:
    """Bytes of all that is made for one shard of a mini-batch and one block of an evaluation."""
    with kept_rows() as data:
        tracemalloc.start()
        computer = ShardComputer(Assignment(ARCHITECTURE, data, batch, SHARDS, seed=0, shuffle=True))
        found = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del computer
    return found


def grown(client: Any, pids: dict[str, int], before: dict[str, Held], batch: int) -> dict[str, Held]:
    """By how much each process has grown, at most, while a job of two workers trains."""
    spec = {**SPEC, "batch_size": batch, "shards": SHARDS, "workers": {"min": 2, "max": 2}, "epochs": MANY_EPOCHS}
    job = client.submit(spec)
    while not job.refresh().progress.epoch:
        time.sleep(LOOK_S)
    most = dict.fromkeys(pids, Held(0, 0))
    for _ in range(LOOKS):
        for name, pid in pids.items():
            most[name] = Held(*map(max, most[name], Held.by(pid).less(before[name])))
        time.sleep(LOOK_S)
    job.cancel()
    job.wait()
    return most


def row(batch: int, growth: dict[str, Held]) -> list[str]:
    """Of the table: the worker that serves, and the runner that does."""
    worker, runner = (max(held.memory for name, held in growth.items() if f"-{kind}-" in name) for kind in KINDS)
    files, buffers = sum(held.files for held in growth.values()), batch_buffers(batch)
    numbers = (worker, 4 * PARAMETER_BYTES + buffers, buffers, runner, files, DATA_BYTES)
    return [str(batch), *(f"{number / MB:.2f}" for number in numbers)]


def main() -> None:
    argparse.ArgumentParser(description="what a gradient worker holds for a job").parse_args()
    print(f"784-256-128-10, {PARAMETER_BYTES / MB:.2f} MB of parameters, two shards, two workers, plain SGD; MB beyond")
    print(f"what they had idle, with the rows prepared: the most of {LOOKS} looks. Machine: {described()}.\n")
    with service_with_rows() as client:
        # Its runner prepares the rows, and no worker serves it.
        client.submit({**SPEC, "epochs": 1, "shards": 1}).wait()
        pids = idle_actors(client)
        before = {name: Held.by(pid) for name, pid in pids.items()}
        rows = [row(batch, grown(client, pids, before, batch)) for batch in BATCHES]
    header = ["batch", "a worker", "goal: ≤ 4 × parameters + batch buffers", "batch buffers", "its runner"]
    print(table([*header, "mapped files of all", "the rows"], rows))


if __name__ == "__main__":
    main()
