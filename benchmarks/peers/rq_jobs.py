"""RQ: the tiny training as a function, by two `rq worker` processes, on the Redis that the command line names.

The second argument is the workers' class: `rq.worker.Worker` forks a process for each job, as RQ does by default,
`rq.worker.SimpleWorker` does not. The third says what workers have loaded before: `loaded` NumPy and the rows, or
`plain` nothing, as RQ does by default: the process of each job imports what it needs. Asked how many jobs, the side
answers the seconds until the last of them is done; they are queued all at once, which is the fastest way that RQ has.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.peers.iris import train
from benchmarks.sides import ROOT, Ready, serve

WORKERS = 2
START_S = 60.0
LOOK_S = 0.005
QUEUE = "tiny"


@contextmanager
def worker(url: str, kind: str, *, loaded: bool) -> Iterator[subprocess.Popen[bytes]]:
    """One; `loaded`: that has loaded what its jobs need."""
    command = [sys.executable, "-m", "rq.cli", "worker", QUEUE, "--url", url, "--worker-class", kind, "--quiet"]
    command += ["--path", str(ROOT), *(["--config", "benchmarks.peers.iris_ready"] if loaded else [])]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def seconds(queue: Any, count: int) -> float:
    """Until so many jobs are done."""
    done, failed = queue.finished_job_registry.key, queue.failed_job_registry
    before = queue.connection.zcard(done)
    begun = time.perf_counter()
    queue.enqueue_many([queue.prepare_data(train, args=(seed,)) for seed in range(count)])
    while queue.connection.zcard(done) - before < count:
        if queue.connection.zcard(failed.key):
            sys.exit(f"a job of RQ failed: {failed.get_job_ids()}")
        time.sleep(LOOK_S)
    return time.perf_counter() - begun


@contextmanager
def rq_jobs() -> Iterator[Ready]:
    """The side."""
    import rq
    from redis import Redis

    url, kind, loaded = sys.argv[1:]
    queue = rq.Queue(QUEUE, connection=Redis.from_url(url))
    with ExitStack() as running:
        for _ in range(WORKERS):
            running.enter_context(worker(url, kind, loaded=loaded == "loaded"))
        deadline = time.monotonic() + START_S
        while rq.Worker.count(queue.connection) < WORKERS:
            if time.monotonic() > deadline:
                sys.exit("RQ's workers did not start")
            time.sleep(LOOK_S)
        yield f"RQ {rq.VERSION}", lambda count: seconds(queue, count)


if __name__ == "__main__":
    serve(rq_jobs)
