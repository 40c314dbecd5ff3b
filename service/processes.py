"""Linux process plumbing: who dies with whom, who adopts orphans, and how a whole family is ended.

Standard library only; knows no part of the service.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: a child between fork and exec must not load libraries


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}, {value}): {os.strerror(error)}")


def adopt_orphans() -> None:
    """Make this process the one that inherits every descendant whose own parent dies."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> Callable[[], None]:
    """A `preexec_fn` by which a child is killed when its parent ends, however that happens.

    Raises: RuntimeError off the main thread, since the signal comes when the *thread* that started the child ends.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start the child from the main thread: it is killed when the thread that started it ends")
    return partial(bind_to_parent, os.getpid())


def bind_to_parent(parent: int) -> None:
    """In a child: be killed when the thread of `parent` that started it ends; end now if `parent` did already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the signal was asked for
        os._exit(1)


def descendants(root: int | None = None) -> list[int]:
    """The process ids below `root` (this process without it), parents before children."""
    children = defaultdict(list)
    for pid, parent in _parents():
        children[parent].append(pid)
    found: list[int] = []
    waiting = [os.getpid() if root is None else root]
    while waiting:
        below = children[waiting.pop(0)]
        found += below
        waiting += below
    return found


def orphans(keep: set[int]) -> list[int]:
    """What this process adopted, with everything below it: its children that are not in `keep`, and theirs."""
    me = os.getpid()
    adopted = [pid for pid, parent in _parents() if parent == me and pid not in keep]
    return [*adopted, *(below for pid in adopted for below in descendants(pid))]


def _parents() -> Iterable[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                # The command, in brackets, may itself hold brackets and spaces.
                yield int(name), int(stat.read().rpartition(b")")[2].split()[1])


def kill(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """Send a signal to each, whether or not it is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def reap() -> list[tuple[int, int]]:
    """Collect every child that has ended: (process id, exit code, negative for a signal)."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append((found[0], os.waitstatus_to_exitcode(found[1])))
    return ended


def end_descendants(deadline_s: float = 5.0) -> None:
    """Kill and reap everything below this process, what it starts meanwhile included.

    Raises: TimeoutError when something is still there after `deadline_s` (a process the kernel cannot end).
    """
    deadline = time.monotonic() + deadline_s
    while left := descendants():
        kill(left)
        reap()
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} are still there {deadline_s} s after SIGKILL")
        time.sleep(0.005)
