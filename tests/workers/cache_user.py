"""`python -m tests.workers.cache_user CACHE LIMIT NAME BYTES [die | wait]`: a process that uses a file of a cache.

It says `fetching` when it does, and `fetched`, and `open` once it has mapped the file, which it keeps until its input
ends. `die`: it is killed in the middle of fetching. `wait`: in the middle of it, it waits for a line.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from workers.node_cache import NodeCache


def main() -> None:
    """Use it."""
    folder, limit, name, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    manner = sys.argv[5] if len(sys.argv) > 5 else ""

    def fetch(file: BinaryIO) -> None:
        print("fetching", flush=True)
        file.write(b"x" * (size // 2))
        if manner == "die":
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if manner == "wait":
            sys.stdin.readline()
        file.write(b"x" * (size - size // 2))
        print("fetched", flush=True)

    with NodeCache(Path(folder), limit).open(name, lambda: size, fetch) as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    print("open", flush=True)
    sys.stdin.read()
    assert mapped[:] == b"x" * size


if __name__ == "__main__":
    main()
