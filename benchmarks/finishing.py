"""Tiny jobs finished a second on a warm service of two workers, beside RQ with two workers and the same training."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.accepting import LOAD
from benchmarks.service import ONE_THREAD, running_service
from benchmarks.sides import Absent, Side
from benchmarks.tables import spread, table
from benchmarks.tiny import SPEC, running_redis

CONNECTIONS = 8
WARM_JOBS = 10
LOOK_S = 0.1
GOALS = {"RQ as it comes, a process for each job": 3.0}
PEERS = {
    "RQ as it comes, a process for each job": ("rq.worker.Worker", "plain"),
    "RQ, with NumPy and the rows loaded before it forks": ("rq.worker.Worker", "loaded"),
    "RQ, without a process for each job": ("rq.worker.SimpleWorker", "loaded"),
}


class Served:
    """deltaq, whose jobs are posted by a process of its own."""

    def __init__(self, client: Any, generator: Side) -> None:
        self._client, self._generator, self._turns = client, generator, count()

    def seconds(self, jobs: int) -> float:
        """From before the first POST until the last job has succeeded."""
        turn = str(next(self._turns))
        question = {
            "port": urlsplit(self._client.url).port,
            "path": "/v1/jobs",
            "body": {**SPEC, "tags": {"turn": turn}},
        }
        begun = time.perf_counter()
        self._generator.ask({**question, "connections": CONNECTIONS, "requests": jobs})
        while self._any(turn, "queued") or self._any(turn, "running"):
            time.sleep(LOOK_S)
        took = time.perf_counter() - begun
        done = sum(1 for _ in self._client.jobs(status="succeeded", tag=f"turn={turn}"))
        if done != jobs:
            sys.exit(f"{done} of {jobs} jobs succeeded")
        return took

    def _any(self, turn: str, status: str) -> bool:
        return any(True for _ in self._client.jobs(status=status, tag=f"turn={turn}", limit=1))


class Peer(NamedTuple):
    """RQ with one kind of worker."""

    name: str
    side: Side

    def seconds(self, jobs: int) -> float:
        """Until the last is done."""
        return float(self.side.ask(jobs))


@contextmanager
def peer(name: str, folder: Path, python: str) -> Iterator[Peer]:
    """On a Redis of its own. Raises: Absent."""
    with running_redis(folder) as url:
        side = Side([python, "-m", "benchmarks.peers.rq_jobs", url, *PEERS[name]], ONE_THREAD)
        yield Peer(name, side)
        side.close()


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A service of two workers."""
    from deltaq import Client

    with running_service(folder) as url, Client(url) as client:
        generator = Side(LOAD)
        yield Served(client, generator)
        generator.close()


def measured(everyone: Sequence[Served | Peer], jobs: int, rounds: int) -> list[list[float]]:
    """Jobs a second of each, in each round; they take turns."""
    for one in everyone:
        one.seconds(WARM_JOBS)
    found: list[list[float]] = [[] for _ in everyone]
    for _ in range(rounds):
        for one, speeds in zip(everyone, found, strict=True):
            speeds.append(jobs / one.seconds(jobs))
    return found


def compared(folder: Path, python: str, jobs: int, rounds: int) -> str:
    """The table, and what could not be in it."""
    with ExitStack() as running:
        own, others, absent = running.enter_context(served(folder / "deltaq")), list[Peer](), list[str]()
        for number, name in enumerate(PEERS):
            try:
                others.append(running.enter_context(peer(name, folder / f"rq-{number}", python)))
            except Absent as missing:
                absent.append(f"{name}, is left out: {missing}.")
        mine, *theirs = measured([own, *others], jobs, rounds)
        versions = ", ".join(dict.fromkeys(one.side.version for one in others))
    rows = [["deltaq, 2 workers", f"{statistics.median(mine):,.1f}", "", ""]]
    for one, speeds in zip(others, theirs, strict=True):
        ratios = [own_speed / speed for own_speed, speed in zip(mine, speeds, strict=True)]
        goal = f"≥ {GOALS[one.name]:.2f}" if one.name in GOALS else ""
        rows.append([f"{one.name}, 2 workers", f"{statistics.median(speeds):,.1f}", spread(ratios), goal])
    said = [f"Versions: {versions}."] if versions else []
    return "\n".join([table(["", "jobs/s", "deltaq / it", "goal"], rows), "", *said, *absent])
