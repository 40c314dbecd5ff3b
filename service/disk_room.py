"""How much room the file system of a folder has left. Knows nothing of what is written there."""

from __future__ import annotations

import shutil
from pathlib import Path

from service.errors import NoRoom, StoreUnavailable

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def free_bytes(folder: Path) -> int:
    """What may still be written where a folder is, or will be made.

    Raises: StoreUnavailable when its file system does not say.
    """
    try:
        return shutil.disk_usage(folder).free
    except FileNotFoundError:
        return free_bytes(folder.parent)
    except OSError as error:
        raise StoreUnavailable(f"the file system does not say how much room it has: {error.strerror}") from error


def require_room(folder: Path, least_bytes: int, name: str) -> None:
    """Return where so much is free, or nothing has to be.

    Raises: NoRoom that says how much is free of the folder of this name, and what is needed; StoreUnavailable.
    """
    if not least_bytes:
        return
    free = free_bytes(folder)
    if free < least_bytes:
        raise NoRoom(f"{name} has {in_words(free)} free; needed are {in_words(least_bytes)} (DELTAQ_MIN_FREE)")


def in_words(size_bytes: int) -> str:
    """A size as people read it."""
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g} {_UNITS[unit]}"
