"""How the service is started: by its command line, in the Python that runs this. Imports none of it.

`-P` keeps the present folder off Python's search path: the user's own project may well have a `service/`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def command(*arguments: str) -> list[str]:
    """The service's command line."""
    return [sys.executable, "-P", "-m", "service", *arguments]


def become_service(arguments: Sequence[str]) -> NoReturn:
    """Turn this process into the service; signals then reach it, and its exit code is ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    line = command("up", *arguments)
    os.execv(line[0], line)
