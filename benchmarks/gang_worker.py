"""One gradient worker in a process of its own, without Ray: serves gangs, and tells how long its computing took.

Its version is the address at which it serves. Asked anything, it answers the seconds of each sum that it has computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.sides import Ready, serve
from benchmarks.stopwatch import time_calls


@contextmanager
def gang_worker() -> Iterator[Ready]:
    """The side."""
    from workers import kernels

    kernels.pin()
    from workers.shard_computer import ShardComputer
    from workers.tokens import TokenGuard
    from workers.transport.serving import GangServer

    computing = time_calls(ShardComputer, "subtree")
    yield GangServer(TokenGuard(), kernels.fingerprint()).address, lambda _question: computing


if __name__ == "__main__":
    serve(gang_worker)
