"""Events as a stream for one client: what is missing first, then each as it comes, to the end of the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from api.hint_listener import HintListener
from api.render import JSON, job_json
from api.responses import dumps
from api.sse import COMMENT, COMMENT_S, RETRY, frame
from service.errors import JobNotFound, StoreUnavailable
from service.events import BEGINNING, END, Events, EventSlice, of_archived
from service.history import History

AGAIN_S = 1.0  # between tries while Redis is away
READERS = 8  # threads that read for streams; those of other calls are not theirs to fill

T = TypeVar("T")
Stream = AsyncGenerator[bytes, None]


@dataclass(frozen=True)
class Told:
    """What one stream tells of."""

    names: Sequence[str]  # the jobs, or the tenant, whose news wake it
    read: Callable[[str], EventSlice]  # what came after an event
    show: Callable[[], JSON]  # how all of it is now


@dataclass(frozen=True)
class Follower:
    """Everything that streams of events are made of."""

    history: History
    events: Events
    listener: HintListener
    limiter: CapacityLimiter

    async def open(self, tenant: str, job_id: str, last_event_id: str | None) -> Stream | None:
        """Return a job's stream after an event; None where that was the last event of an ended job.

        Where events between are no longer kept, or the event is later than all there are, a snapshot comes first.
        Raises: JobNotFound; InvalidRequest when the id is not an event's.
        """
        archived = await self._in_thread(partial(self.history.archived_only, tenant, job_id))
        read = partial(self.events.read, job_id) if archived is None else partial(of_archived, archived.last_event)
        told = Told([job_id], read, lambda: job_json(self.history.get(tenant, job_id)))
        return await self._open(told, last_event_id or BEGINNING)

    async def open_all(
        self, tenant: str, job_ids: Sequence[str], sweep_ids: Sequence[str], last_event_id: str | None
    ) -> Stream | None:
        """Return the stream of several jobs, and of sweeps with their jobs, after an event; None where these have
        ended, and it was the last of theirs.

        Without either it is that of all the tenant's, and has no end; without an event it begins with a snapshot and
        what comes from now on. Otherwise snapshots come as in a job's own stream. Of jobs whose records are archived
        there is a snapshot alone.
        Raises: JobNotFound; SweepNotFound; InvalidRequest when the id is not an event's.
        """
        job_ids = list(dict.fromkeys(job_ids))
        archived = await self._in_thread(lambda: self.history.archived_of(tenant, job_ids))
        living = [job_id for job_id in job_ids if job_id not in archived]
        if job_ids and not living and not sweep_ids:
            read = partial(of_archived, BEGINNING)
        else:
            read = partial(self.events.read_all, tenant, job_ids=living, sweep_ids=sweep_ids)

        def show() -> JSON:
            present = self.events.jobs_now(tenant, living, sweep_ids) if living or sweep_ids or not job_ids else []
            return {"jobs": list(map(job_json, [*present, *archived.values()]))}

        return await self._open(Told([tenant] if sweep_ids else living or [tenant], read, show), last_event_id or END)

    async def _open(self, told: Told, after: str) -> Stream | None:
        part = await self._read(told, after)
        return None if part.silent and part.ended else self._stream(told, after, part)

    async def _stream(self, told: Told, after: str, part: EventSlice) -> Stream:
        yield RETRY
        with self.listener.following(told.names) as woken:
            while not self.listener.closed:
                try:
                    if part.missed:
                        # Its id is the place to ask from for who breaks off here.
                        yield frame("snapshot", await self._shown(told), after if part.events else part.reached)
                    if part.events:
                        yield b"".join(frame(event.type, event.data, event.id) for event in part.events)
                    if part.complete:
                        return
                    after = part.reached
                    part = replace(part, events=[], missed=False)  # sent, whatever becomes of the next read
                    woken.clear()
                    part = await self._read(told, after)
                    if part.silent and not part.ended and not await _woken(woken, COMMENT_S):
                        yield COMMENT
                except StoreUnavailable:
                    await asyncio.sleep(AGAIN_S)
                    yield COMMENT
                except JobNotFound:
                    return

    async def _read(self, told: Told, after: str) -> EventSlice:
        part = await self._in_thread(partial(told.read, after))
        if _place(after) > _place(part.last_id):  # of an event that this store has lost, or never had
            return replace(part, missed=True, reached=part.last_id)
        return part

    async def _shown(self, told: Told) -> str:
        return await self._in_thread(lambda: dumps(told.show()).decode())

    async def _in_thread(self, step: Callable[[], T]) -> T:
        return await to_thread.run_sync(step, limiter=self.limiter)


async def _woken(woken: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await woken.wait()
    except TimeoutError:
        return False
    return True


def _place(event_id: str) -> tuple[int, int]:
    """Order event ids: they have been checked to be such."""
    major, _, minor = event_id.partition("-")
    return int(major), int(minor or 0)
