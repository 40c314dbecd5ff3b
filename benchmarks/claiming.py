"""The time of a claim by the number of jobs that are queued, beside RQ's taking a job off its queue."""

from __future__ import annotations

import random
import secrets
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sides import Absent, Side
from benchmarks.tables import spread, table
from benchmarks.tiny import SPEC, running_redis
from benchmarks.unflushed import unflushed

if TYPE_CHECKING:
    from service.acceptance import Acceptance
    from service.datasets import Dataset
    from service.store import Store

PRIORITIES, WIDTHS, TENANTS = range(-2, 3), (1, 2), 4
TURNS = 5
FREE_SLOTS = 2
LEAD_S = 60.0


class Claims:
    """deltaq's queue: jobs of several tenants, priorities and widths in it, by chance."""

    def __init__(self, store: Store, dataset: Dataset) -> None:
        from service.job_records import Jobs
        from service.queue import Queue
        from service.spec import JobSpec

        self._store, self._dataset = store, dataset
        self._jobs, self._queue = Jobs(store), Queue(store)
        self._leader, self._random = secrets.token_hex(8), random.Random(0)
        self._specs = [
            JobSpec.model_validate({**SPEC, "dataset": dataset.id, "priority": priority, "workers": {"min": width}})
            for priority in PRIORITIES
            for width in WIDTHS
        ]

    def _job(self) -> Acceptance:
        from service.acceptance import Acceptance

        tenant = f"tenant-{self._random.randrange(TENANTS)}"
        return Acceptance(tenant, self._random.choice(self._specs), self._dataset)

    def fill(self, depth: int) -> None:
        """Accept as many as are missing."""
        missing = depth - self._queue.depth()
        if missing <= 0:
            return
        with unflushed(self._store.command):
            for _ in range(missing):
                self._jobs.accept(self._job())

    def seconds(self, depth: int, count: int) -> list[float]:
        """Of each of so many claims; the job that each gets goes back to where it was."""
        self.fill(depth)
        epoch = self._queue.lead(self._leader, LEAD_S)
        assert epoch is not None
        took = []
        for _ in range(count):
            token = secrets.token_hex(8)
            begun = time.perf_counter()
            claimed = self._queue.claim(epoch, FREE_SLOTS, token)
            took.append(time.perf_counter() - begun)
            assert claimed is not None
            self._queue.release(claimed.lease, "claimed to see how long it takes")
        if self._queue.depth() != depth:
            sys.exit(f"{self._queue.depth()} jobs are queued, and should be {depth}")
        return took


@contextmanager
def claims(folder: Path) -> Iterator[Claims]:
    """On a Redis of its own, where iris is."""
    from service.builtin import make_builtin
    from service.dataset_records import DatasetRecords
    from service.store import Store

    dataset, _ = make_builtin(SPEC["dataset"])
    with running_redis(folder) as url:
        store = Store(url, timeout_s=60.0)
        DatasetRecords(store).create(dataset.to_document(), dataset.identity)
        yield Claims(store, dataset)
        store.close()


@contextmanager
def peer(folder: Path, python: str) -> Iterator[Side]:
    """RQ, on a Redis of its own. Raises: Absent."""
    with running_redis(folder) as url:
        side = Side([python, "-m", "benchmarks.peers.rq_claims", url])
        yield side
        side.close()


def measured(own: Claims, other: Side | None, depth: int, count: int) -> list[str]:
    """A row of the table: both take turns, and a ratio is that of the medians of one turn."""
    mine, theirs = list[list[float]](), list[list[float]]()
    for number in range(-1, TURNS):  # the first fills the queues, and is to be warm
        turn = own.seconds(depth, -(-count // TURNS)), other and other.ask([depth, -(-count // TURNS)])
        if number >= 0:
            mine.append(turn[0])
            theirs.append(turn[1] or [])
    row = [f"{depth:,}", *shown(mine)]
    if other is None:
        return [*row, "", "", ""]
    ratios = [statistics.median(one) / statistics.median(two) for one, two in zip(mine, theirs, strict=True)]
    return [*row, *shown(theirs), spread(ratios)]


def shown(turns: Sequence[Sequence[float]]) -> list[str]:
    """Milliseconds: the median, and what 95 of 100 stay below."""
    every = [1e3 * seconds for turn in turns for seconds in turn]
    return [f"{statistics.median(every):.2f}", f"{statistics.quantiles(every, n=20)[-1]:.2f}"]


def compared(folder: Path, python: str, depths: Sequence[int], count: int) -> str:
    """The table, and what could not be in it."""
    with ExitStack() as running:
        own, absent = running.enter_context(claims(folder / "deltaq")), ""
        try:
            other: Side | None = running.enter_context(peer(folder / "rq", python))
        except Absent as missing:
            other, absent = None, f"\n\nRQ is left out: {missing}."
        rows = []
        for depth in sorted(depths):
            rows.append(measured(own, other, depth, count))
            print(f"{depth} queued jobs are done", file=sys.stderr, flush=True)
    header = ["queued jobs", "claim, median ms", "95 of 100", "RQ, median ms", "95 of 100", "deltaq / RQ"]
    return table(header, rows) + absent
