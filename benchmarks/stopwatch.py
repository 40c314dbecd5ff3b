"""Times every call of a method in this process, from outside of what is measured."""

from __future__ import annotations

import functools
import time
from typing import Any


def time_calls(owner: type, name: str) -> list[float]:
    """Seconds of each call from now on, as they are made; a call within a call counts by itself."""
    plain, took = getattr(owner, name), list[float]()

    @functools.wraps(plain)
    def timed(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return plain(*arguments, **options)
        finally:
            took.append(time.perf_counter() - begun)

    setattr(owner, name, timed)
    return took
