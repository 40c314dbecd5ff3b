"""A job's events as a stream for one client: what is missing first, then each as it comes, to the job's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from anyio import CapacityLimiter, to_thread

from api.hint_listener import HintListener
from api.render import job_json
from api.responses import dumps
from api.sse import COMMENT, COMMENT_S, RETRY, frame
from service.errors import JobNotFound, StoreUnavailable
from service.events import BEGINNING, Events, EventSlice
from service.job_records import Jobs

AGAIN_S = 1.0  # between tries while Redis is away
READERS = 8  # threads that read for streams; those of other calls are not theirs to fill


@dataclass(frozen=True)
class JobFollower:
    """Everything that streams of job events are made of."""

    jobs: Jobs
    events: Events
    listener: HintListener
    limiter: CapacityLimiter

    async def open(self, tenant: str, job_id: str, last_event_id: str | None) -> AsyncGenerator[bytes, None] | None:
        """Return the stream after an event; None where that was the last event of an ended job.

        Where events between are no longer kept, or the event is later than all there are, a snapshot comes first.
        Raises: JobNotFound; InvalidRequest when the id is not an event's.
        """
        await to_thread.run_sync(self.jobs.get, tenant, job_id, limiter=self.limiter)
        after = last_event_id or BEGINNING
        part = await self._read(job_id, after)
        if _place(after) > _place(part.last_id):  # of an event that this store has lost, or never had
            after = part.last_id
            part = replace(part, missed=True)
        elif _place(after) == _place(part.last_id) and part.status.terminal:
            return None
        return self._stream(tenant, job_id, after, part)

    async def _stream(self, tenant: str, job_id: str, after: str, part: EventSlice) -> AsyncGenerator[bytes, None]:
        yield RETRY
        with self.listener.following(job_id) as woken:
            while not self.listener.closed:
                try:
                    if part.missed:
                        yield await self._snapshot(tenant, job_id, after)
                    for event in part.events:
                        yield frame(event.type, event.data, event.id)
                        after = event.id
                    if part.complete:
                        return
                    part = replace(part, events=[], missed=False)  # sent, whatever becomes of the next read
                    woken.clear()
                    part = await self._read(job_id, after)
                    if not part.events and not part.complete and not await _woken(woken, COMMENT_S):
                        yield COMMENT
                except StoreUnavailable:
                    await asyncio.sleep(AGAIN_S)
                    yield COMMENT
                except JobNotFound:
                    return

    async def _read(self, job_id: str, after: str) -> EventSlice:
        return await to_thread.run_sync(self.events.read, job_id, after, limiter=self.limiter)

    async def _snapshot(self, tenant: str, job_id: str, after: str) -> bytes:
        """Write the job as it is; its id is the place to ask from for who breaks off here."""
        job = await to_thread.run_sync(self.jobs.get, tenant, job_id, limiter=self.limiter)
        return frame("snapshot", dumps(job_json(job)).decode(), after)


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
