"""Jobs accepted a second: `POST /v1/jobs` of one `python -m api` on a Redis that flushes each change, and no scheduler.

Beside it the same server with a route that does nothing, by the same load.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.ports import free_port
from benchmarks.sides import ROOT, Side
from benchmarks.tables import spread, table
from benchmarks.tiny import SPEC, running_redis

CONNECTIONS = 16
START_S = 60.0
GOAL = 0.40
LOAD = [sys.executable, "-m", "benchmarks.load"]


class Endpoint(NamedTuple):
    """What answers a POST."""

    port: int
    path: str
    seeds: bool = False  # each POST has one of its own

    def load(self, generator: Side, seconds: float) -> Mapping[str, float]:
        """Requests, and the seconds from the first to the last answer."""
        question = {**self._asdict(), "body": SPEC, "connections": CONNECTIONS, "seconds": seconds}
        answer: Mapping[str, float] = generator.ask(question)
        return answer


@contextmanager
def listening(command: Sequence[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A server, from when it listens to the end of the context."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})})
    try:
        deadline = time.monotonic() + START_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{' '.join(command)} did not start")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def api(folder: Path) -> Iterator[tuple[Endpoint, Any]]:
    """deltaq's, where iris is and nothing runs jobs; and its queue."""
    from service.artifacts import Artifacts
    from service.builtin import install_builtins
    from service.dataset_records import DatasetRecords
    from service.queue import Queue
    from service.settings import Settings
    from service.store import Store

    port = free_port()
    with running_redis(folder / "redis") as url:
        settings = {"DELTAQ_REDIS_URL": url, "DELTAQ_DATA_DIR": str(folder), "DELTAQ_PORT": str(port)}
        store = Store(url)
        install_builtins(DatasetRecords(store), Artifacts(Settings(data_dir=folder).artifacts_url))
        with listening([sys.executable, "-m", "api"], port, settings):
            yield Endpoint(port, "/v1/jobs"), Queue(store)
        store.close()


@contextmanager
def bare() -> Iterator[Endpoint]:
    """The peer's."""
    port = free_port()
    with listening([sys.executable, "-m", "benchmarks.peers.bare_fastapi", str(port)], port):
        yield Endpoint(port, "/")


def measured(folder: Path, rounds: int, turn_s: float) -> list[list[float]]:
    """Requests a second in each round: of deltaq with one spec and with specs that differ, and of the peer."""
    speeds, jobs, generator = [list[float](), list[float](), list[float]()], 0, Side(LOAD)
    with api(folder) as (own, queue), bare() as other:
        for number in range(-1, rounds):  # the first is to be warm
            answers = [one.load(generator, turn_s) for one in (own, own._replace(seeds=True), other)]
            jobs += round(answers[0]["requests"] + answers[1]["requests"])
            if number >= 0:
                for found, answer in zip(speeds, answers, strict=True):
                    found.append(answer["requests"] / answer["seconds"])
        if queue.depth() != jobs:
            sys.exit(f"{jobs} jobs were accepted, and {queue.depth()} are queued")
    generator.close()
    return speeds


def compared(folder: Path, rounds: int, turn_s: float) -> str:
    """The table."""
    *own, other = measured(folder, rounds, turn_s)
    names, goals = ("one spec", "each with a seed of its own"), (f"≥ {GOAL:.2f}", "")
    rows = [
        [f"deltaq, `POST /v1/jobs`, {name}", f"{statistics.median(mine):,.0f}", _ratio(mine, other), goal]
        for name, mine, goal in zip(names, own, goals, strict=True)
    ]
    rows.append(["FastAPI, a route that does nothing", f"{statistics.median(other):,.0f}", "", ""])
    return table(["", "requests/s", "deltaq / FastAPI", "goal"], rows)


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> str:
    return spread([one / other for one, other in zip(mine, theirs, strict=True)])
