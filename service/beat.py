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
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

import structlog

from service.errors import DeltaqError, LeaseLost, StoreUnavailable
from service.jobs import CheckpointRef, Lease
from service.queue import BeatOf, Level, Queue, Requested

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
        self.lost = False  # the lease
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
        self.beating = threading.Lock()
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
        if self.lost:
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
        """Have a checkpoint recorded at once, or with the next joint beat, after the rows that were added before it.

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
        while self._unsaid:
            self.insist(lambda: self._once(last=True))

    @property
    def _unsaid(self) -> bool:
        """Whether anything is not on record."""
        progress, shown = self._progress(), self._announced
        further = progress is not None and (shown is None or progress["step"] != shown[0])
        return further or bool(self._rows or self._lines or self._offered or self._recording)

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
        while True:
            self._soon.wait(self._interval_s)
            self._soon.clear()
            if self._stopped:
                return
            try:
                if self._clock() - self._phase_began > self._phase_limit_s:
                    self.give_up(self._phase, self._phase_limit_s)
                    return
                self._once()
            except StoreUnavailable:
                continue  # training goes on; the lease is the leader's to judge
            except LeaseLost:
                self.lost = True
                return
            except Exception as failure:
                log.exception("the beat failed", job=self._lease.job_id)
                self.fail(failure)
                return

    def fail(self, failure: Exception) -> None:
        """There is no beat any more: `check` raises this."""
        self._failure = failure

    def give_up(self, phase: str, limit_s: float) -> None:
        """Say in the job's log that there will be no beat any more, since this phase has lasted too long."""
        log.error("stuck", job=self._lease.job_id, phase=phase, limit_s=limit_s)
        message = f"The {phase} has taken longer than {limit_s:g} s: the runner is taken to be stuck."
        self._queue.log(self._lease, "warning", message)

    def _once(self, *, last: bool = False) -> None:
        beat_together(self._queue, [self], last=last)
        self.check()

    def say(self, last: bool, most_rows: int) -> BeatOf:
        """What it has to say now: the oldest rows, and how far the training is."""
        rows, progress = list(islice(self._rows, most_rows)), self._progress()
        if progress is None:
            return BeatOf(self._lease, self.ran_s, rows=rows)
        step, now, shown = progress["step"], self._clock(), self._announced
        # Who watches is shown it at once, then each second that has news, and at the last.
        announce = shown is None or (step != shown[0] and (last or now - shown[1] >= ANNOUNCE_S))
        return BeatOf(self._lease, self.ran_s, progress, announce, rows)

    def hear(self, said: BeatOf, answer: Requested | DeltaqError | None) -> bool:
        """What was said is on record, or cannot be; whether there are rows left to say."""
        if isinstance(answer, LeaseLost):
            self.lost = True
            return False
        if isinstance(answer, DeltaqError):
            self.fail(answer)
            return False
        for _ in said.rows:
            self._rows.popleft()
        if said.progress is not None and said.announce:
            self._announced = (said.progress["step"], self._clock())
        self.requested = answer
        return bool(self._rows)

    def next_checkpoint(self) -> CheckpointRef | None:
        """The one that is to be recorded after the rows that are there now."""
        with self._offering:
            if self._recording is None:
                self._recording, self._offered = self._offered, None
        return self._recording

    def record_rest(self, checkpoint: CheckpointRef | None) -> None:
        """Record what follows the rows, while the lease holds. Raises: LeaseLost; StoreUnavailable."""
        if self.lost:
            return
        if checkpoint is not None:
            self._record_checkpoint(checkpoint)
        while self._lines:
            self._queue.log(self._lease, *self._lines[0])
            self._lines.popleft()

    def _record_checkpoint(self, checkpoint: CheckpointRef) -> None:
        before = self._queue.record_checkpoint(self._lease, checkpoint, keep_every=self._keep_every)
        if before is not None:
            self.superseded.append(before)
        self._recording = None


def beat_together(queue: Queue, beats: Sequence[Beat], *, last: bool = False) -> None:
    """Beat once for each of these, in one step; the others are beaten for though one's lease is lost.

    Raises: StoreUnavailable.
    """
    with ExitStack() as locks:
        for beat in beats:
            locks.enter_context(beat.beating)
        checkpoints = [beat.next_checkpoint() for beat in beats]  # before the rows: what came before is recorded before
        left = list(beats)
        while left:
            said = [beat.say(last, ROWS_AT_ONCE // len(left)) for beat in left]
            answers = queue.beat_all(said)
            left = [beat for beat, mine, answer in zip(left, said, answers, strict=True) if beat.hear(mine, answer)]
        for beat, checkpoint in zip(beats, checkpoints, strict=True):
            with suppress(LeaseLost):  # it was lost in between; the next beat says so
                beat.record_rest(checkpoint)
