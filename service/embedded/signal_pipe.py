"""Waiting for signals, the end of a pipe, or a time, in one thread and without polling."""

from __future__ import annotations

import os
import select
import signal
from types import TracebackType


class SignalPipe:
    """From its start to its end, the signals given are noted here and do nothing else.

    `lifeline` is the read end of a pipe; `wait` answers whether its other end is still held.
    """

    def __init__(self, *numbers: int, lifeline: int | None = None) -> None:
        self._numbers = numbers
        self._lifeline = lifeline
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> SignalPipe:
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, lambda *_: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)
        for descriptor in self._pipe:
            os.close(descriptor)

    def wait(self, timeout_s: float | None) -> tuple[set[int], bool]:
        """The signals that came, and whether the lifeline is whole; comes back at once for either."""
        watched = [self._pipe[0], *([] if self._lifeline is None else [self._lifeline])]
        ready, _, _ = select.select(watched, [], [], timeout_s)
        came = set(os.read(self._pipe[0], 512)) if self._pipe[0] in ready else set()
        return came, self._lifeline not in ready
