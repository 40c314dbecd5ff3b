"""Files for this user alone: secrets, and what says where they are. Knows nothing of what is in them."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else may read, from its first byte on; readers see it whole or as it was before."""
    written = path.with_name(path.name + ".new")
    written.unlink(missing_ok=True)  # that of a process that was killed
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    written.replace(path)
