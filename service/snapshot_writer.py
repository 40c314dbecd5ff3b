"""A thread beside the training that writes what it was: of two snapshots, one is written while the other is taken.

A training waits for its copy alone, never for what is written: a snapshot that still waits is replaced by a newer one.
Knows neither what a snapshot holds nor where it is written to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from service.checkpoints import Snapshot
from service.training import Training


class SnapshotWriter:
    """Use as a context: what still waits at its exit is dropped, and what is being written is waited for.

    `write` is called in the thread, with one snapshot after the other.
    """

    def __init__(self, write: Callable[[Snapshot], None], name: str) -> None:
        self._write = write
        self._spare, self._written = Snapshot(), Snapshot()
        self._waits = self._writes = self._closing = False  # whether the spare one is to be written, one is, no more is
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> SnapshotWriter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def check(self) -> None:
        """Return while what was taken could be written. Raises: what else `write` raised."""
        if self._failure is not None:
            raise self._failure

    def take(self, training: Training) -> None:
        """Copy the training as it stands, and have it written.

        Raises: as `check`.
        """
        self.check()
        with self._changed:
            self._waits = False  # a copy that fails leaves nothing that could be written
            self._spare.take(training)
            self._waits = True
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was taken is written, or could not be.

        Raises: as `check`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not (self._waits or self._writes))
        self.check()

    def _run(self) -> None:
        while self._next():
            try:
                self._write(self._written)
            except Exception as failure:
                self._failure = failure
            with self._changed:
                self._writes = False
                self._changed.notify_all()

    def _next(self) -> bool:
        """Wait for a snapshot to be written; false when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waits or self._closing)
            if self._closing or self._failure is not None:
                return False
            self._spare, self._written = self._written, self._spare
            self._waits, self._writes = False, True
            return True
