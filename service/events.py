"""What happened to a job, or to all jobs of a tenant, as a stream that can be read on from any place.

An event's id is its id in the Redis stream it was read from. Its data is one line of JSON and is passed on as text.
Knows no HTTP and no listener.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from service.errors import FieldError, InvalidRequest
from service.ids import is_id
from service.job_fields import job_from_fields
from service.jobs import Job, JobStatus
from service.refusals import job_not_found, sweep_not_found
from service.store import HINTS, Store, answering
from service.strict_json import printable

BEGINNING = "0-0"
END = f"{2**64 - 1}-0"  # later than every event

_MOST_SHOWN = 500


@dataclass(frozen=True)
class Event:
    """One event: `type` is status, progress, metrics or log."""

    id: str
    type: str
    data: str  # JSON


@dataclass(frozen=True)
class EventSlice:
    """Events after a certain one, and how that stands to the whole stream."""

    events: list[Event]
    missed: bool  # some between the one asked for and the first kept are gone: show a snapshot first
    reached: str  # up to here all has been looked at: the place to read on from
    last_id: str  # of the newest event there is
    ended: bool  # the job, or each one that was named, had ended at that moment

    @property
    def at_end(self) -> bool:
        """There is nothing after these events."""
        return self.reached == self.last_id

    @property
    def complete(self) -> bool:
        """All jobs have ended, and these events reach to their end."""
        return self.ended and self.at_end

    @property
    def silent(self) -> bool:
        """There is nothing to tell."""
        return self.at_end and not self.events and not self.missed


def of_archived(last_event: str, after: str) -> EventSlice:
    """What is left of the events of a job whose record is archived: that there were some, up to `last_event`."""
    return EventSlice([], _place(after) < _place(last_event), last_event, last_event, ended=True)


class Events:
    """The event streams of all jobs and tenants."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, job_id: str, after: str = BEGINNING, count: int = 500) -> EventSlice:
        """A job's events after the one with this id, oldest first, at most `count`.

        The caller has made sure that the job is its tenant's.
        Raises: JobNotFound; InvalidRequest naming `Last-Event-ID` when `after` is not an event's id.
        """
        place = _place(after)
        whole = "-".join(map(str, place))
        status, last, trimmed, first, *entries = self._store.run("read_events", job=job_id, after=whole, count=count)
        events = [Event(event_id, values[1], values[3]) for event_id, values in entries]
        missed = trimmed == 1 and place < _place(first)
        reached = events[-1].id if events else last if missed else whole
        return EventSlice(events, missed, reached, last, JobStatus(status).terminal)

    def read_all(
        self,
        tenant: str,
        after: str = BEGINNING,
        job_ids: Sequence[str] = (),
        count: int = 500,
        sweep_ids: Sequence[str] = (),
    ) -> EventSlice:
        """The events of a tenant's jobs and sweeps, or of those named, after the one with this id, oldest first.

        There are at most `count`; where none comes, there is none. The data of each is `{"job": its id, "data": what
        the job's own stream has}`, or `{"sweep": its id, "data": …}`. With a sweep come its jobs.
        Raises: JobNotFound; SweepNotFound; InvalidRequest naming `Last-Event-ID` when `after` is not an event's id.
        """
        place = _place(after)
        jobs, sweeps = _words("job", job_ids), _words("sweep", sweep_ids)
        reached, missed = "-".join(map(str, place)), False
        while True:
            living, last, trimmed, first, looked_at, *entries = self._store.run(
                "read_tenant_events", tenant=tenant, after=reached, count=count, jobs=jobs, sweeps=sweeps
            )
            missed = missed or (trimmed == 1 and _place(reached) < _place(first))
            events = [Event(place, said[3], f'{{"{said[0]}":"{said[1]}","data":{said[5]}}}') for place, said in entries]
            if events or looked_at in (reached, last):
                named = jobs is not None or sweeps is not None
                return EventSlice(events, missed, looked_at, last, named and living == 0)
            reached = looked_at

    def jobs_now(self, tenant: str, job_ids: Sequence[str] = (), sweep_ids: Sequence[str] = ()) -> list[Job]:
        """The named jobs as they are at one moment, and those of the sweeps that live, at most 500 of each.

        Without either: those that live, running ones first. Raises: JobNotFound.
        """
        jobs, sweeps = _words("job", job_ids), _words("sweep", sweep_ids)
        found = self._store.run("show_jobs", tenant=tenant, count=_MOST_SHOWN, jobs=jobs, sweeps=sweeps)
        return list(map(job_from_fields, found))


@dataclass(frozen=True)
class Hint:
    """There is a new event of this job."""

    tenant: str
    job_id: str


class Hints:
    """Hears which jobs have new events: one for a whole process, to wake its readers. Use it in one thread.

    A hint may be lost with the connection: after each (re)connection all readers should look once.
    """

    def __init__(self, store: Store) -> None:
        self._listener = store.subscribe(HINTS)

    def next(self, timeout_s: float) -> Hint | None:
        """Which job has a new event; None: none in this time. Raises: StoreUnavailable."""
        with answering():
            message = self._listener.get_message(timeout=timeout_s)
        if message is None:
            return None
        tenant, _, job_id = str(message["data"]).rpartition(" ")
        return Hint(tenant, job_id)

    def close(self) -> None:
        """Close its connection."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _words(kind: Literal["job", "sweep"], ids: Sequence[str]) -> str | None:
    """The ids as a step takes them. Raises: JobNotFound or SweepNotFound for what is no such id."""
    for one in ids:
        if not is_id(kind, one):
            raise (job_not_found if kind == "job" else sweep_not_found)(printable(one))
    return " ".join(ids) if ids else None


def _place(event_id: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,20})(?:-(\d{1,20}))?", event_id, re.ASCII)
    place = (int(found[1]), int(found[2] or 0)) if found else (-1, -1)
    if not all(0 <= number < 2**64 for number in place):
        allowed = "the id of an event of this stream"
        error = FieldError("/Last-Event-ID", event_id[:100], "not an event's id", allowed)
        raise InvalidRequest(f"Last-Event-ID {event_id[:100]!r} is not an event's id", errors=[error])
    return place
