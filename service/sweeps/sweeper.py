"""The sweeper: has each sweep's trials made as slots free, tells what became of them, stops the hopeless ones.

Whatever it knows is in Redis: killed at any moment and started again, it goes on, and two of them do no harm. It sleeps
until a trial's job has ended, a sweep has been changed, or a time limit is over. Knows no HTTP and no Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from service.errors import DeltaqError, NoTrial, QueueFull, RedisUnavailable, SweepNotFound, TrainingFailed, Unavailable
from service.job_records import Jobs
from service.queue import Queue
from service.spec import SweepSpec
from service.sweeps.asking import Asking
from service.sweeps.keeping import ModelKeeper
from service.sweeps.progress import Progress
from service.sweeps.records import Sweeps
from service.sweeps.study import ask_study
from service.sweeps.sweep import Sweep

log = structlog.get_logger()

FULL_S = 5.0  # how often all sweeps are looked at, whatever has been heard
FULL_AGAIN_S = 1.0  # how long to wait where the queue takes no more
SHOWN_S = 2.0  # how often it says that it is at work
AT_ONCE = 64  # trials that are made for one sweep before the others are looked at
LEARNING_PARALLEL = 8  # trials at a time where a sampler learns: with more it learns less
PER_WORKER = 32  # trials at a time where it does not


class Sweeper:
    """Goes through the sweeps. Nothing connects at construction."""

    def __init__(self, sweeps: Sweeps, jobs: Jobs, queue: Queue, asking: Asking, keeper: ModelKeeper) -> None:
        self._sweeps = sweeps
        self._jobs = jobs
        self._queue = queue
        self._asking = asking
        self._keeper = keeper
        self._known: dict[str, Progress] = {}
        self._due: dict[str, float] = {}  # by sweep: when to look at it again, on the wall clock
        self._again: set[str] = set()
        self._looked = self._shown = 0.0

    def tick(self) -> None:
        """Wait for something to do, or a little while, and do it. Raises: StoreUnavailable."""
        changed = self._sweeps.await_change(0.0 if self._again else self._until_due()) | self._again
        now = time.time()
        self._again = set()
        changed |= {sweep for sweep, due in self._due.items() if due <= now}
        if now - self._looked >= FULL_S or now < self._looked:
            changed |= self._sweeps.live()
            self._looked = now
        if now - self._shown >= SHOWN_S or now < self._shown:
            self._shown = now
            self._sweeps.show_sweeper()
        for sweep_id in sorted(changed):
            self._due.pop(sweep_id, None)
            self._try(sweep_id)

    def _until_due(self) -> float:
        return max(0.0, min([SHOWN_S, *(due - time.time() for due in self._due.values())]))

    def _try(self, sweep_id: str) -> None:
        """One that cannot be gone through must not keep the others."""
        try:
            self._look(sweep_id)
        except Exception as error:
            self._known.pop(sweep_id, None)  # what has happened is on record: it is read again
            self._after(sweep_id, error)

    def _after(self, sweep_id: str, error: Exception) -> None:
        match error:
            case NoTrial():
                self._again.add(sweep_id)  # steered meanwhile, or another sweeper was faster
            case QueueFull():
                log.info("waiting for room in the queue", sweep=sweep_id, detail=error.detail)
                self._due[sweep_id] = time.time() + FULL_AGAIN_S
            case SweepNotFound():
                pass
            case RedisUnavailable():
                self._looked = 0.0
                raise error
            case _:
                log.error("a sweep cannot go on", sweep=sweep_id, exc_info=error)
                self._due[sweep_id] = time.time() + FULL_S

    def _look(self, sweep_id: str) -> None:
        sweep = self._sweeps.get(None, sweep_id)
        known = self._known.get(sweep_id)
        if known is None:
            known = self._known[sweep_id] = Progress(self._sweeps, self._jobs, sweep)
        self._follow(sweep, known)
        if known.look(sweep):
            self._keeper.keep_best(sweep)
            sweep = self._sweeps.get(None, sweep_id)
        if known.more:
            self._again.add(sweep_id)
        if sweep.status.terminal:
            if sweep.open == 0:
                self._end(sweep)
            return
        if not known.complete and sweep.status != "paused":
            self._complete(sweep)
            known.complete = True
        over = self._is_over(sweep)
        if sweep.status != "paused" and not over and self._make(sweep, known):
            self._again.add(sweep_id)
            return
        done = sweep.trials is not None and sweep.asked >= sweep.trials
        if sweep.status != "paused" and sweep.open == 0 and (over or done):
            self._end(sweep)

    def _complete(self, sweep: Sweep) -> None:
        """Make the jobs of trials that have some and not all: who made them has died in between."""
        if sweep.spec.repeats > 1:
            for trial in self._sweeps.trials(sweep.id, self._sweeps.open_numbers(sweep.id)):
                if len(trial.job_ids) < sweep.spec.repeats and trial.error is None:
                    self._asking.complete(sweep, trial, self._parallel(sweep.spec))

    def _follow(self, sweep: Sweep, known: Progress) -> None:
        """Once each time that it is paused or cancelled: have its jobs be so, too."""
        if sweep.status in ("paused", "cancelled") and known.followed != sweep.status and sweep.open:
            self._sweeps.follow(sweep)
        known.followed = sweep.status

    def _is_over(self, sweep: Sweep) -> bool:
        """Whether its time is over; then what has not started is cancelled."""
        deadline = sweep.deadline_ms
        if deadline is None or sweep.status == "paused":
            return False
        left_s = deadline / 1000 - time.time()
        if left_s > 0:
            self._due[sweep.id] = time.time() + left_s
            return False
        self._sweeps.steer(None, sweep.id, "stop")
        return True

    def _make(self, sweep: Sweep, known: Progress) -> bool:
        """Make trials as far as there is room; answers whether there may be room for more."""
        parallel = self._parallel(sweep.spec)
        room = parallel - sweep.open
        if sweep.trials is not None:
            room = min(room, sweep.trials - sweep.asked)
        count = min(room, AT_ONCE)
        if count <= 0:
            return False
        study = known.study(sweep)
        asked = [(number, ask_study(sweep.spec, study, number)) for number in range(sweep.asked, sweep.asked + count)]
        for trial in self._asking.make(sweep, asked, parallel):
            known.add(trial)
        return room > count

    def _parallel(self, spec: SweepSpec) -> int:
        if spec.parallel is not None:
            return spec.parallel
        if spec.learns:
            return LEARNING_PARALLEL
        return PER_WORKER * max(1, int((self._queue.cluster() or {}).get("slots") or 1))

    def _end(self, sweep: Sweep) -> None:
        self._keeper.keep_best(sweep, ended=True)
        why = "no trial was made in its time" if sweep.asked == 0 else f"none of its {sweep.asked} trials has succeeded"
        ended = self._sweeps.finish(sweep, AllTrialsFailed(why, hint="The trials' own errors say what to try."))
        if ended.status.terminal and ended.open == 0:
            self._known.pop(sweep.id, None)
            self._due.pop(sweep.id, None)
            if not sweep.status.terminal:
                log.info("ended", sweep=sweep.id, status=ended.status, trials=ended.asked)


class AllTrialsFailed(TrainingFailed):
    """Nothing has come of any trial of a sweep."""

    title = "No trial succeeded"


def run(sweeper: Sweeper, wait: Callable[[float], None] = time.sleep) -> None:
    """Sweep for ever: the end of the process may come at any moment."""
    while True:
        try:
            sweeper.tick()
        except Unavailable as away:
            log.warning("waiting", detail=away.detail)
            wait(0.5)
        except DeltaqError as error:
            log.warning("trying again", detail=error.detail)
            wait(0.5)
