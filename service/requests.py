"""What the leader asks of a running attempt, from other threads: to be drained, or to be served by other slots."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from workers.place import Slot


class Requests:
    """Asked by some threads, heard between two steps by the attempt's own."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = list(slots)  # those that serve
        self.leave: str | None = None  # why it is to go back into the queue
        self._wanted: list[Slot] | None = None
        self._over = False
        self._changed = threading.Condition()

    def drain(self, reason: str) -> None:
        """Have it write a checkpoint and go back into the queue; its log says why."""
        self.leave = reason

    def resize(self, slots: Sequence[Slot]) -> list[Slot]:
        """Have it be served by these slots; answers, when it is so or something else was asked since, those that serve.

        None serve when the attempt is over.
        """
        wanted = list(slots)
        with self._changed:
            self._wanted = wanted
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over or self._wanted is not wanted)
            return [] if self._over else list(self.slots)

    def wanted(self) -> list[Slot] | None:
        """The slots that were asked for since the last time."""
        return self._wanted

    def done(self, slots: list[Slot]) -> None:
        """These serve from now on."""
        with self._changed:
            self.slots = slots
            if self._wanted is slots:
                self._wanted = None
            self._changed.notify_all()

    def end(self) -> None:
        """The attempt is over."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
