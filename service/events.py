"""What happened to a job, as a stream that can be read on from any place. Knows no HTTP and no listener.

An event's id is its id in the Redis stream. Its data is one line of JSON and is passed on as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from service.errors import FieldError, InvalidRequest
from service.jobs import JobStatus
from service.store import HINTS, Store, answering

BEGINNING = "0-0"


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
    last_id: str  # of the newest event there is
    status: JobStatus  # the job's, at that moment

    @property
    def complete(self) -> bool:
        """The job has ended, and these events reach to its end."""
        return self.status.terminal and (not self.events or self.events[-1].id == self.last_id)


class Events:
    """The event streams of all jobs; the caller has made sure that the job is its tenant's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, job_id: str, after: str = BEGINNING, count: int = 500) -> EventSlice:
        """The events after the one with this id, oldest first, at most `count`.

        Raises: JobNotFound; InvalidRequest naming `Last-Event-ID` when `after` is not an event's id.
        """
        place = _place(after)
        status, last, trimmed, first, *entries = self._store.run(
            "read_events", job=job_id, after="-".join(map(str, place)), count=count
        )
        events = [Event(event_id, values[1], values[3]) for event_id, values in entries]
        return EventSlice(events, trimmed == 1 and place < _place(first), last, JobStatus(status))


class Hints:
    """Hears which jobs have new events: one for a whole process, to wake its readers. Use it in one thread.

    A hint may be lost with the connection: after each (re)connection all readers should look once.
    """

    def __init__(self, store: Store) -> None:
        self._listener = store.subscribe(HINTS)

    def next(self, timeout_s: float) -> str | None:
        """The id of a job that has a new event; None: none in this time. Raises: StoreUnavailable."""
        with answering():
            message = self._listener.get_message(timeout=timeout_s)
        return None if message is None else str(message["data"])

    def close(self) -> None:
        """Close its connection."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _place(event_id: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,20})(?:-(\d{1,20}))?", event_id, re.ASCII)
    place = (int(found[1]), int(found[2] or 0)) if found else (-1, -1)
    if not all(0 <= number < 2**64 for number in place):
        allowed = "the id of an event of this stream"
        error = FieldError("/Last-Event-ID", event_id[:100], "not an event's id", allowed)
        raise InvalidRequest(f"Last-Event-ID {event_id[:100]!r} is not an event's id", errors=[error])
    return place
