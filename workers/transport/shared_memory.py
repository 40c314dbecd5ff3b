"""Memory that processes of one host share by file descriptors: it has no name, so it is gone when its last holder is.

A block cannot be cut or grown by anybody, which would end those that have mapped it. Knows not what it holds.
Source: memfd_create(2), fcntl(2) on seals.
"""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

AVAILABLE = hasattr(os, "memfd_create")

_F_SEAL_FUTURE_WRITE = 0x0010  # Linux 5.1; Python's fcntl has no name for it yet


def create(name: str, size: int, *, sealed: bool = False) -> tuple[int, Bytes]:
    """A block of zeros: its file descriptor, to be handed on and closed, and its memory, which only this process writes
    if it is `sealed`; pages take room when they are first written.

    Units: `size` in bytes.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    memory = np.frombuffer(mmap.mmap(descriptor, size), np.uint8)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
    if sealed:
        seals |= _F_SEAL_FUTURE_WRITE  # F_SEAL_WRITE is refused while the owner itself has it mapped for writing
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)
    return descriptor, memory


def attach(descriptor: int, size: int, *, writable: bool) -> Bytes:
    """Map another's block.

    Raises: ValueError where it has another size; PermissionError where it is sealed and was to be writable.
    """
    found = os.fstat(descriptor).st_size
    if found != size:
        raise ValueError(f"a shared block has {found} bytes; allowed: {size}")
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    return np.frombuffer(mmap.mmap(descriptor, size, access=access), np.uint8)
