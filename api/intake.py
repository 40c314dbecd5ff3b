"""Jobs that are submitted together go to Redis together. Knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from anyio import to_thread

from service.acceptance import Acceptance
from service.async_store import AsyncStore
from service.errors import JobNotFound, UnknownDataset
from service.job_records import Limits
from service.jobs import Job
from service.store import Argument
from service.submission import Submission, Submitted

# While Redis has those of one trip, the others' requests are read: more in a trip, and either waits for the other.
TRIPS = 2
TOGETHER = 8

Arguments = Mapping[str, Argument | None]


class Intake:
    """The way of many requests into the queue; of one event loop."""

    def __init__(self, submission: Submission, store: AsyncStore, limits: Limits) -> None:
        self._submission = submission
        self._store = store
        self._limits = limits.arguments()
        self._waiting: list[tuple[Acceptance, Arguments, asyncio.Future[Job]]] = []
        self._trips = set[asyncio.Task[None]]()  # under way

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
        self._waiting.append((acceptance, {**acceptance.arguments(), **self._limits}, accepted))
        if len(self._trips) < TRIPS:
            self._trips.add(asyncio.create_task(self._go()))
        return await accepted

    async def _go(self) -> None:
        try:
            while self._waiting:
                going, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                answers = await self._answers([arguments for _, arguments, _ in going])
                for (acceptance, _, accepted), answer in zip(going, answers, strict=True):
                    _settle(accepted, acceptance, answer)
        finally:  # at once: whoever comes after the last look at those that wait must find it gone
            self._trips.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _answers(self, going: list[Arguments]) -> Sequence[list[Any] | Exception]:
        try:
            return await self._store.run_all("accept", going)
        except Exception as error:
            return [error] * len(going)


def _settle(accepted: asyncio.Future[Job], acceptance: Acceptance, answer: list[Any] | Exception) -> None:
    if accepted.done():
        return  # nobody waits for it any more
    try:
        if isinstance(answer, Exception):
            raise answer
        accepted.set_result(acceptance.job(*answer)[0])
    except Exception as error:
        accepted.set_exception(error)
