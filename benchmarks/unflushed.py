"""A Redis that does not flush each change, while it is filled for a measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

LOOK_S = 0.1


@contextmanager
def unflushed(command: Callable[..., Any]) -> Iterator[None]:
    """As long as the context lasts; after it all is on disk, and flushed at each change again."""
    command("CONFIG", "SET", "appendfsync", "no")
    try:
        yield
    finally:
        command("CONFIG", "SET", "appendfsync", "always")
        while rewrites(command("INFO", "persistence")):
            time.sleep(LOOK_S)


def rewrites(persistence: Any) -> bool:
    """Whether the server writes its file anew, which it does beside its work when that has grown much."""
    return bool(persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])
