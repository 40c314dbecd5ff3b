"""How much memory a process has to itself, and its giving back what it does not use."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")


def own_bytes() -> int:
    """This process's resident memory that no file backs and nobody shares: its heap, not the data that it maps.

    0 where the system does not tell.
    """
    try:
        lines = _STATUS.read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def settle() -> None:
    """Take what the process has now for what it always will: collections do not look at it any more."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Have what is not used any more go back to the system, between two jobs.

    What knows each other, as a job's parts do, is freed by a collection alone; and the C library keeps what is freed
    among what is not. (A runner kept a third of a gigabyte of a job with 4096-4096 units, and half of that without the
    second.)
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
