"""A disk of a few megabytes that a test fills and frees: a tmpfs, where the kernel lets one be mounted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType

import pytest


class SmallDisk:
    """A context: the folder is a file system of its own, and none any more at the end. Skips where that is denied."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder = folder
        self._size_bytes = size_bytes
        self._filler = folder / "filler"

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir()
        options = f"size={self._size_bytes},mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "deltaq-test", str(self.folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("a disk of its own needs the command mount")
        except subprocess.CalledProcessError as denied:
            pytest.skip(f"a disk of its own needs the right to mount a tmpfs: {denied.stderr.strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(os.urandom(size))
                except OSError:
                    continue

    def free(self) -> None:
        """Give back what was filled."""
        self._filler.unlink()
