"""`python -m tests.service.attempt_process`: attempts the next job in the queue, and is killed by SIGKILL on the way.

The place is a step's end, or one of the calls into C of the thread that writes checkpoints, counted over all that it
writes: between two of them nothing changes outside, and a seed finds one of them again, which a clock would not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Literal

if __name__ == "__main__":
    from workers import kernels

    kernels.pin()

from service.store import Store
from tests.service.attempt_room import AttemptRoom, ObservedAttempt

ROOT = Path(__file__).parents[2]


def attempt_and_die(redis_url: str, folder: Path, at: Literal["step", "call"], number: int, **settings: Any) -> None:
    """Attempt the next job in a process of its own, which is killed at this step or call."""
    given = {"redis_url": redis_url, "folder": str(folder), "at": at, "number": number, "settings": settings}
    command = [sys.executable, "-m", __name__, json.dumps(given)]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_call(number: int) -> None:
    """Be killed just before a call in the thread that writes checkpoints."""
    calls = count(1)

    def look(frame: FrameType, event: str, arg: object) -> None:
        written = event == "c_call" and threading.current_thread().name.startswith("checkpoints-")
        if written and next(calls) == number:
            die()

    threading.setprofile(look)


def wait_now_and_then(attempt: ObservedAttempt) -> None:
    """Have no more than two steps to a checkpoint, so that a slow disk does not let the job end before its death."""
    attempt.checkpoints.flush()


def main() -> None:
    """Attempt the next job as the command line says, and die."""
    given = json.loads(sys.argv[1])
    store = Store(given["redis_url"])
    room = AttemptRoom(store, Path(given["folder"]), **given["settings"])
    if given["at"] == "step":
        room.attempt({given["number"]: die}).run()
    else:
        die_at_call(given["number"])
        room.attempt(dict.fromkeys(range(0, 1_000_000, 2), wait_now_and_then)).run()


if __name__ == "__main__":
    main()
