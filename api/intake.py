"""Jobs that are submitted together go to Redis together. Knows no HTTP."""

from __future__ import annotations

import asyncio

from anyio import to_thread

from service.acceptance import Acceptance
from service.async_store import AsyncStore
from service.errors import DeltaqError, JobNotFound, UnknownDataset
from service.job_records import Limits
from service.jobs import Job
from service.submission import Submission, Submitted

# While Redis has those of one trip, the others' requests are read: more in a trip, and either waits for the other.
TRIPS = 2
TOGETHER = 8


class Intake:
    """The way of many requests into the queue; of one event loop."""

    def __init__(self, submission: Submission, store: AsyncStore, limits: Limits) -> None:
        self._submission = submission
        self._store = store
        self._limits = limits.arguments()
        self._waiting: list[tuple[Acceptance, asyncio.Future[Job]]] = []
        self._trips = set[asyncio.Task[None]]()

    async def submit(self, submitted: Submitted) -> Job:
        """As `Submission.submit`."""
        acceptance = self._submission.at_hand(submitted)
        if acceptance is not None:
            try:
                return await self._accept(acceptance)
            except (UnknownDataset, JobNotFound):
                pass  # what was at hand is not so any more
        prepared = await to_thread.run_sync(self._submission.prepare, submitted)
        return prepared if isinstance(prepared, Job) else await self._accept(prepared)

    async def _accept(self, acceptance: Acceptance) -> Job:
        accepted: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting.append((acceptance, accepted))
        if len(self._trips) < TRIPS:
            trip = asyncio.create_task(self._go())
            self._trips.add(trip)
            trip.add_done_callback(self._trips.discard)
        return await accepted

    async def _go(self) -> None:
        while self._waiting:
            going, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            answers = await self._answers([acceptance for acceptance, _ in going])
            for (_, accepted), answer in zip(going, answers, strict=True):
                if accepted.done():
                    continue  # nobody waits for it any more
                if isinstance(answer, Exception):
                    accepted.set_exception(answer)
                else:
                    accepted.set_result(answer)

    async def _answers(self, going: list[Acceptance]) -> list[Job | Exception]:
        try:
            answers = await self._store.run_all("accept", [{**one.arguments(), **self._limits} for one in going])
            return [
                answer if isinstance(answer, DeltaqError) else one.job(*answer)[0]
                for one, answer in zip(going, answers, strict=True)
            ]
        except Exception as error:
            return [error] * len(going)
