"""The beat of a running job: one thread beside the training, each quarter of a second, off the steps' path.

It renews the lease, writes progress, finished epochs, checkpoints and log lines, and brings back what is asked of the
job. While Redis does not answer it tries again and training goes on; what it finds about the lease stands in
attributes that a step may read at no cost. Knows no training, no files and no Ray.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

import structlog

from service.errors import LeaseLost, StoreUnavailable
from service.jobs import CheckpointRef, Lease
from service.queue import Level, Queue, Requested

log = structlog.get_logger()

T = TypeVar("T")
RETRY_S = 0.2
ANNOUNCE_S = 1.0  # of the events that are kept, progress must not push out all others
ROWS_AT_ONCE = 200  # what Redis does for one caller, all others wait for


class Beat:
    """Use as a context: beats from entry to exit. `requested` and `check` say what the last beats brought."""

    def __init__(
        self,
        queue: Queue,
        lease: Lease,
        interval_s: float,
        progress: Callable[[], dict[str, Any] | None],
        *,
        keep_every: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requested: Requested | None = None
        self.superseded: deque[CheckpointRef] = deque()  # on record no more: their files may go
        self._lost = False
        self._failure: Exception | None = None
        self._queue = queue
        self._lease = lease
        self._interval_s = interval_s
        self._progress = progress
        self._keep_every = keep_every  # of the checkpoints each so manieth stays on record
        self._clock = clock
        self._began = clock()
        self._phase, self._phase_began, self._phase_limit_s = "start", self._began, math.inf
        self._announced: tuple[int, float] | None = None  # the step last shown to who watches, and when
        self._rows: deque[dict[str, Any]] = deque()
        self._lines: deque[tuple[Level, str]] = deque()
        self._offered: CheckpointRef | None = None
        self._recording: CheckpointRef | None = None
        self._offering = threading.Lock()
        self._beating = threading.Lock()
        self._stopped = False
        self._soon = threading.Event()  # there is something to do before the next beat is due
        self._thread = threading.Thread(target=self._run, name=f"beat-{lease.job_id}", daemon=True)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._soon.set()
        self._thread.join()

    @property
    def ran_s(self) -> float:
        """For how long the attempt has run, in seconds."""
        return self._clock() - self._began

    def enter(self, phase: str, limit_s: float) -> None:
        """The attempt is in this phase from now on, once more maybe; when it does not say so again within the limit, it
        is taken to be stuck: the beat ends, and with it the lease.

        Units: `limit_s` in seconds.
        """
        self._phase_began = self._clock()  # first: the beat may look in between
        self._phase, self._phase_limit_s = phase, limit_s

    def check(self) -> None:
        """Return while the job is this holder's and its beat goes on.

        Raises: LeaseLost, or whatever else ended the beat: without it the lease would be lost as well.
        """
        if self._lost:
            raise LeaseLost(f"Job {self._lease.job_id} has another owner.")
        if self._failure is not None:
            raise self._failure

    def add_row(self, row: dict[str, Any]) -> None:
        """Have an epoch's metrics recorded with the next beat."""
        self._rows.append(row)

    def add_line(self, level: Level, message: str) -> None:
        """Have a line written into the job's log with the next beat."""
        self._lines.append((level, message))

    def add_checkpoint(self, reference: CheckpointRef) -> CheckpointRef | None:
        """Have a checkpoint recorded at once, after the rows that were added before it.

        Returns the one that it replaces, which is and will be on no record. One whose recording was tried is not
        replaced, since it may have happened: the newer one follows it.
        """
        with self._offering:
            replaced, self._offered = self._offered, reference
        self._soon.set()
        return replaced

    def flush(self) -> None:
        """Beat until nothing waits: the end must not overtake what came before it.

        Raises: LeaseLost.
        """
        self.insist(lambda: self._once(last=True))
        while self._offered is not None:
            self.insist(lambda: self._once(last=True))

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
                self._lost = True
                raise

    def _run(self) -> None:
        while True:
            self._soon.wait(self._interval_s)
            self._soon.clear()
            if self._stopped:
                return
            try:
                if self._clock() - self._phase_began > self._phase_limit_s:
                    self._give_up()
                    return
                self._once()
            except StoreUnavailable:
                continue  # training goes on; the lease is the leader's to judge
            except LeaseLost:
                self._lost = True
                return
            except Exception as failure:
                self._failure = failure
                log.exception("the beat failed", job=self._lease.job_id)
                return

    def _give_up(self) -> None:
        message = f"The {self._phase} has taken longer than {self._phase_limit_s:g} s: the runner is taken to be stuck."
        log.error("stuck", job=self._lease.job_id, phase=self._phase, limit_s=self._phase_limit_s)
        self._queue.log(self._lease, "warning", message)

    def _once(self, *, last: bool = False) -> None:
        with self._beating:
            checkpoint = self._next_checkpoint()  # before the rows: all that came before it are recorded before it
            self._record_rows()
            if checkpoint is not None:
                self._record_checkpoint(checkpoint)
            while self._lines:
                self._queue.log(self._lease, *self._lines[0])
                self._lines.popleft()
            self.requested = self._renew(last)

    def _next_checkpoint(self) -> CheckpointRef | None:
        with self._offering:
            if self._recording is None:
                self._recording, self._offered = self._offered, None
        return self._recording

    def _record_rows(self) -> None:
        while self._rows:
            rows = list(islice(self._rows, ROWS_AT_ONCE))
            self._queue.record_epochs(self._lease, rows)
            for _ in rows:
                self._rows.popleft()

    def _record_checkpoint(self, checkpoint: CheckpointRef) -> None:
        before = self._queue.record_checkpoint(self._lease, checkpoint, keep_every=self._keep_every)
        if before is not None:
            self.superseded.append(before)
        self._recording = None

    def _renew(self, last: bool) -> Requested | None:
        """Beat with the progress; who watches is shown it at once, then each second that has news, and at the last."""
        progress = self._progress()
        if progress is None:
            return self._queue.beat(self._lease, ran_s=self.ran_s)
        step, now = progress["step"], self._clock()
        shown = self._announced
        announce = shown is None or (step != shown[0] and (last or now - shown[1] >= ANNOUNCE_S))
        requested = self._queue.beat(self._lease, progress, announce=announce, ran_s=self.ran_s)
        if announce:
            self._announced = (step, now)
        return requested
