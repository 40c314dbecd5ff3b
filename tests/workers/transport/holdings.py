"""What processes hold of the blocks of shared memory that deltaq makes, as Linux tells it under /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

NAMES = ("memfd:deltaq-weights", "memfd:deltaq-answers")


def blocks_of(pid: int | str = "self") -> set[int]:
    """The inodes of the blocks that a process has open or mapped; none where it is gone."""
    found: set[int] = set()
    with suppress(OSError):
        found.update(_mapped(pid))
    with suppress(OSError):
        found.update(_opened(pid))
    return found


def holders_of(blocks: set[int]) -> list[str]:
    """The processes of this host that hold one of these blocks."""
    return [
        entry.name for entry in Path("/proc").iterdir() if entry.name.isdecimal() and blocks_of(entry.name) & blocks
    ]


def descriptors_of(pid: int | str = "self") -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def connections_of(pid: int | str = "self") -> list[str]:
    """What a process has open to others: sockets, processes to be ended, blocks of memory."""
    found: list[str] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(os.readlink(entry))
    return [name for name in found if any(kind in name for kind in ("socket:", "pidfd", *NAMES))]


def named_memory_of(pid: int | str = "self") -> list[str]:
    """What a process has mapped of memory that has a name in a file system, and may be left behind there."""
    return [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/dev/shm/" in line]


def _mapped(pid: int | str) -> Iterator[int]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if any(name in line for name in NAMES):
            yield int(line.split()[4])


def _opened(pid: int | str) -> Iterator[int]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if any(name in os.readlink(entry) for name in NAMES):
                yield entry.stat().st_ino
