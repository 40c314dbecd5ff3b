"""The beat of a running job: one thread beside the training, each quarter of a second, off the steps' path.

It renews the lease, writes progress and finished epochs, and brings back what is asked of the job. While Redis does
not answer it tries again and training goes on; what it finds about the lease stands in attributes that a step may
read at no cost. Knows no training and no Ray.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

import structlog

from service.errors import LeaseLost, StoreUnavailable
from service.jobs import Lease
from service.queue import Queue

log = structlog.get_logger()

T = TypeVar("T")
RETRY_S = 0.2
ROWS_AT_ONCE = 200  # what Redis does for one caller, all others wait for


class Beat:
    """Use as a context: beats from entry to exit. `lost` and `requested` are what the last beats brought."""

    def __init__(
        self, queue: Queue, lease: Lease, interval_s: float, progress: Callable[[], dict[str, Any] | None]
    ) -> None:
        self.lost = False
        self.requested: str | None = None
        self._queue = queue
        self._lease = lease
        self._interval_s = interval_s
        self._progress = progress
        self._rows: deque[dict[str, Any]] = deque()
        self._beating = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"beat-{lease.job_id}", daemon=True)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def add_row(self, row: dict[str, Any]) -> None:
        """Have an epoch's metrics recorded with the next beat."""
        self._rows.append(row)

    def flush(self) -> None:
        """Beat now: what follows (a checkpoint, the end) must not overtake the rows and the progress before it.

        Raises: LeaseLost.
        """
        self.insist(self._once)

    def insist(self, write: Callable[[], T]) -> T:
        """Do a write that may be repeated, again until Redis takes it.

        Raises: LeaseLost.
        """
        while True:
            try:
                return write()
            except StoreUnavailable:
                time.sleep(RETRY_S)
            except LeaseLost:
                self.lost = True
                raise

    def _run(self) -> None:
        while not self.lost and not self._stop.wait(self._interval_s):
            try:
                self._once()
            except StoreUnavailable:
                continue  # training goes on; the lease is the leader's to judge
            except LeaseLost:
                self.lost = True
            except Exception:
                log.exception("the beat failed", job=self._lease.job_id)
                self.lost = True  # without a beat the lease is lost as well: the training stops here

    def _once(self) -> None:
        with self._beating:
            while self._rows:
                rows = list(islice(self._rows, ROWS_AT_ONCE))
                self._queue.record_epochs(self._lease, rows)
                for _ in rows:
                    self._rows.popleft()
            self.requested = self._queue.beat(self._lease, self._progress())
