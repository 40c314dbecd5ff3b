"""The jobs that wait for slots: for whom slots are held, and which running jobs make room. Knows neither Ray nor Redis.

The first in line is passed by while it needs more slots than are free; others that need fewer start. That must not go
on for ever: after a while the slots that become free are held for it. And where its priority is higher than that of
running jobs, some of these go back into the queue for it, the least important and the youngest first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.jobs import Lease
from service.placement import Served
from service.queue import WaitingJob


@dataclass(frozen=True, eq=False)
class Running:
    """A running job that can be sent back."""

    served: Served
    priority: int


class Line:
    """Since when each job is seen to wait for slots, by a monotonic clock of one's own.

    Units: `reserve_s` and `preempt_s` in seconds, of waiting until slots are held for the first, or taken for it.
    """

    def __init__(self, reserve_s: float, preempt_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._reserve_s, self._preempt_s = reserve_s, preempt_s
        self._clock = clock
        self._since: dict[str, float] = {}
        self._first: WaitingJob | None = None
        self._taking: str | None = None

    def look(self, waiting: Sequence[WaitingJob]) -> None:
        """These wait, in this order, though all that could start has been started."""
        now = self._clock()
        self._since = {job.job_id: self._since.get(job.job_id, now) for job in waiting}
        if self._taking not in self._since:
            self._taking = None
        for_whom = [job for job in waiting if job.job_id == self._taking] or waiting
        self._first = for_whom[0] if for_whom else None

    def take(self, job_id: str) -> None:
        """Others make room for this job: what they leave is held for it, for as long as it waits."""
        self._taking = job_id

    @property
    def held(self) -> WaitingJob | None:
        """The job that free slots are held for."""
        if self._first is None or self._first.job_id == self._taking:
            return self._first
        return self._first if self._waited_s(self._first) >= self._reserve_s else None

    @property
    def preempting(self) -> WaitingJob | None:
        """The job that has waited long enough to take the slots of others."""
        return self._first if self._first and self._waited_s(self._first) >= self._preempt_s else None

    def _waited_s(self, job: WaitingJob) -> float:
        return self._clock() - self._since[job.job_id]


def preempted(job: WaitingJob, running: Sequence[Running], free: int) -> list[Lease]:
    """The running jobs of lower priority that are to make room for a waiting one; none where that is not enough.

    `free` counts what is free or soon will be. The others can give up what they have beyond their least.
    """
    below = [one for one in running if one.priority < job.priority]
    free += sum(one.served.spare for one in running if one.priority >= job.priority)
    below.sort(key=lambda one: (one.priority, -one.served.lease.generation))
    leaving: list[Lease] = []
    for one in below:
        if free + sum(other.served.spare for other in below if other.served.lease not in leaving) >= job.least:
            break
        free += len(one.served.slots)
        leaving.append(one.served.lease)
    spare = sum(one.served.spare for one in below if one.served.lease not in leaving)
    return leaving if free + spare >= job.least else []
