"""RQ's way of taking a job off its queue, by the queue's depth, on the Redis that the command line names.

Asked (depth, count), the side makes the queue so deep and answers the seconds of each of so many `Queue.dequeue_any`;
the job that each gets is put back where it was.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.peers.iris import train
from benchmarks.sides import Ready, serve
from benchmarks.unflushed import unflushed

QUEUE = "tiny"
PIECE = 1000


def fill(queue: Any, depth: int) -> None:
    """Queue as many as are missing."""
    if queue.count == depth:
        return
    with unflushed(queue.connection.execute_command):
        while (missing := depth - queue.count) > 0:
            queue.enqueue_many([queue.prepare_data(train) for _ in range(min(missing, PIECE))])


def seconds(queue: Any, depth: int, count: int) -> list[float]:
    """Of each claim."""
    fill(queue, depth)
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        job, _ = queue.dequeue_any([queue], None, queue.connection)
        took.append(time.perf_counter() - begun)
        queue.connection.lrem(queue.intermediate_queue_key, 1, job.id)
        queue.push_job_id(job.id, at_front=True)
    return took


@contextmanager
def rq_claims() -> Iterator[Ready]:
    """The side."""
    import rq
    from redis import Redis

    queue = rq.Queue(QUEUE, connection=Redis.from_url(sys.argv[1]))
    yield f"RQ {rq.VERSION}", lambda question: seconds(queue, *question)


if __name__ == "__main__":
    serve(rq_claims)
