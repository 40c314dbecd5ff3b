"""The tiny job that the queue is measured with, and a Redis as the service's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.iris import EPOCHS, HIDDEN

SPEC: dict[str, Any] = {"dataset": "iris", "network": {"hidden": [HIDDEN]}, "epochs": EPOCHS}


@contextmanager
def running_redis(data_dir: Path) -> Iterator[str]:
    """One that flushes each change to disk before it answers; gives its URL."""
    from service.redis_server import RedisServer

    with tempfile.TemporaryDirectory() as runtime_dir, RedisServer(data_dir, Path(runtime_dir)) as server:
        yield server.url
