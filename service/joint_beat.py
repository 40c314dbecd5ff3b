"""The beat of a population: one thread for the beats of all its members, which have none of their own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from types import TracebackType

import structlog

from service.beat import Beat, beat_together
from service.errors import LeaseLost, StoreUnavailable
from service.queue import Queue

log = structlog.get_logger()


class JointBeat:
    """Use as a context: beats from entry to exit, for those that have been added and have not left."""

    def __init__(self, queue: Queue, interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._interval_s = interval_s
        self._clock = clock
        self._beats: list[Beat] = []
        self._phase, self._phase_began, self._phase_limit_s = "start", clock(), math.inf
        self.unheard = False  # members have reported an epoch since `beat`
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="joint-beat", daemon=True)

    def __enter__(self) -> JointBeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def add(self, beat: Beat) -> None:
        """Beat for this one too."""
        self._beats = [*self._beats, beat]

    def leave(self, beat: Beat) -> None:
        """Beat no more for this one: its job is about to end, or has ended."""
        self._beats = [one for one in self._beats if one is not beat]

    def beat(self) -> None:
        """Beat now, in the caller's thread. Raises: StoreUnavailable."""
        beat_together(self._queue, [beat for beat in self._beats if not beat.lost])

    def say_last(self, beats: Collection[Beat]) -> None:
        """Have these say all that they have to say, in one step. Raises: StoreUnavailable.

        In the order in which all beat: each beat is locked meanwhile, and in another order two threads could each wait
        for the other.
        """
        ending = [beat for beat in self._beats if beat in beats and not beat.lost]
        beat_together(self._queue, ending, last=True)

    def enter(self, phase: str, limit_s: float) -> None:
        """As `Beat.enter`, for all of them."""
        self._phase_began = self._clock()  # first: the beat may look in between
        self._phase, self._phase_limit_s = phase, limit_s

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            beats = [beat for beat in self._beats if not beat.lost]
            try:
                if self._clock() - self._phase_began > self._phase_limit_s:
                    self._give_up(beats)
                    return
                beat_together(self._queue, beats)
            except StoreUnavailable:
                continue  # training goes on; the leases are the leader's to judge
            except Exception as failure:
                log.exception("the beat failed")
                for beat in beats:
                    beat.fail(failure)
                return

    def _give_up(self, beats: Sequence[Beat]) -> None:
        for beat in beats:
            with suppress(LeaseLost):
                beat.give_up(self._phase, self._phase_limit_s)
