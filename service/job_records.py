"""The jobs as their tenants see and steer them: accept, show, list, cancel, pause, resume, retry. Knows no runner.

Another tenant's job is not found, here and everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service import strict_json
from service.acceptance import Acceptance, Idempotency, idempotency_arguments
from service.cursors import DEFAULT_LIMIT, Page, Scope, check_limit, decode_cursor, encode_cursor
from service.errors import DeltaqError
from service.ids import is_id
from service.job_fields import job_from_fields
from service.jobs import TRANSITIONS_LINE, Job, JobStatus
from service.refusals import job_not_found, sweep_not_found
from service.store import Argument, Store, key
from service.timestamps import now

_WALK = 2000  # members of an index that one step looks at

Verb = Literal["cancel", "pause"]
RetryFrom = Literal["checkpoint", "start"]


@dataclass(frozen=True)
class Limits:
    """How many jobs may be queued before no more are accepted; None: there is no limit."""

    queued: int | None = None
    queued_tenant: int | None = None  # of each tenant

    def arguments(self) -> dict[str, Argument | None]:
        """What `accept.lua` is told of them."""
        return {"max_queued": self.queued, "max_queued_tenant": self.queued_tenant}


class Jobs:
    """The job records of all tenants."""

    def __init__(self, store: Store, limits: Limits = Limits()) -> None:
        self._store = store
        self._limits = limits

    def accept(self, asked: Acceptance) -> tuple[Job, bool]:
        """Queue a job, and say whether it was created now.

        Raises: UnknownDataset; InvalidSpec naming a job in `after` that cannot succeed any more; QueueFull;
        IdempotencyConflict; StoreUnavailable, then nothing or all of it has happened.
        """
        return asked.job(*self._store.run("accept", **asked.arguments(), **self._limits.arguments()))

    def accept_all(self, asked: Sequence[Acceptance]) -> Sequence[tuple[Job, bool] | DeltaqError]:
        """The same for several in one trip: of each what `accept` returns or raises. Raises: StoreUnavailable."""
        limits = self._limits.arguments()
        answers = self._store.run_all("accept", [{**one.arguments(), **limits} for one in asked])
        return [
            answer if isinstance(answer, DeltaqError) else one.job(*answer)
            for one, answer in zip(asked, answers, strict=True)
        ]

    def wake(self) -> None:
        """Have the leader look at what was accepted quietly."""
        self._store.command("LPUSH", key("wake"), 1)
        self._store.command("LTRIM", key("wake"), 0, 0)

    def find_idempotent(self, tenant: str, idempotency: Idempotency) -> str | None:
        """The id of the job that this key and request made already, before anything else about it is looked at.

        Raises: IdempotencyConflict when the key came with another request.
        """
        found = self._store.run("find_idempotent", tenant=tenant, **idempotency_arguments(idempotency))
        return str(found[0]) if found else None

    def get(self, tenant: str, job_id: str) -> Job:
        """One job. Raises: JobNotFound."""
        return self._step("get_job", tenant, job_id)

    def get_all(self, tenant: str, job_ids: Sequence[str]) -> Sequence[Job]:
        """Several jobs in one trip. Raises: JobNotFound, of the first that is not there."""
        found = []
        for answer in self._store.run_all("get_job", [{"job": job_id, "tenant": tenant} for job_id in job_ids]):
            if isinstance(answer, DeltaqError):
                raise answer
            found.append(job_from_fields(answer[0]))
        return found

    def list(
        self,
        tenant: str,
        *,
        status: JobStatus | None = None,
        tag: str | None = None,
        sweep: str | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Job]:
        """Jobs, newest first; `tag` is `key` or `key=value`. What matches throughout comes exactly once.

        Raises: InvalidRequest naming `cursor` or `limit`; SweepNotFound.
        """
        scope = ("jobs", tenant, status, tag) if sweep is None else ("jobs", tenant, status, tag, sweep)
        before = "" if cursor is None else str(decode_cursor(cursor, scope))
        jobs: list[Job] = []
        count = check_limit(limit)
        tag = None if tag is None else strict_json.printable(tag)
        if sweep is not None and not is_id("sweep", sweep):
            raise sweep_not_found(strict_json.printable(sweep))
        asked = {"tenant": tenant, "status": status, "tag": tag, "sweep": sweep, "walk": _WALK}
        while True:
            before, *found = self._store.run("list_jobs", **asked, before=before, count=count - len(jobs))
            jobs += map(job_from_fields, found)
            if before == "" or len(jobs) == count:
                return Page(jobs, encode_cursor(int(before), scope) if before else None)

    def request(self, tenant: str, job_id: str, verb: Verb) -> Job:
        """Cancel or pause: at once while it waits, at its next step while it runs. Cancel overrides pause.

        Raises: JobNotFound; IllegalTransition naming the state, then nothing has changed.
        """
        target = JobStatus.CANCELLED if verb == "cancel" else JobStatus.PAUSED
        return self._step("request", tenant, job_id, verb=verb, target=target)

    def resume(self, tenant: str, job_id: str) -> Job:
        """Let a paused job go on from where it stopped, or take back a pause that is not yet obeyed.

        Raises: JobNotFound; IllegalTransition naming the state.
        """
        return self._step("resume", tenant, job_id)

    def retry(self, tenant: str, job_id: str, from_: RetryFrom = "checkpoint") -> Job:
        """Queue a failed or cancelled job again; from the start, it forgets checkpoint, metrics and progress.

        Raises: JobNotFound; IllegalTransition naming the state, or a job in `after` that cannot succeed any more;
        UnknownDataset when its data set is gone.
        """
        return self._step("retry", tenant, job_id, **{"from": from_})

    def metrics(
        self, tenant: str, job_id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[dict[str, Any]]:
        """The rows of epochs 1 … n, in this order.

        Raises: JobNotFound; InvalidRequest naming `cursor` or `limit`.
        """
        scope = ("metrics", tenant, job_id)
        seen, count = _place(cursor, scope), check_limit(limit)
        rows = self._run("list_metrics", tenant, job_id, after=seen, count=count + 1)
        following = encode_cursor(seen + count, scope) if len(rows) > count else None
        return Page([strict_json.decode(row) for row in rows[:count]], following)

    def logs(
        self, tenant: str, job_id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[dict[str, Any]]:
        """The log lines that are kept, oldest first: `{at, level, message}`.

        Raises: JobNotFound; InvalidRequest naming `cursor` or `limit`.
        """
        scope = ("logs", tenant, job_id)
        seen, count = _place(cursor, scope), check_limit(limit)
        answer = self._run("list_logs", tenant, job_id, after=seen, count=count + 1)
        numbers, lines = answer[::2], answer[1::2]
        following = encode_cursor(int(numbers[count - 1]), scope) if len(lines) > count else None
        return Page([strict_json.decode(line) for line in lines[:count]], following)

    def _step(self, script: str, tenant: str, job_id: str, **arguments: str) -> Job:
        given = {**arguments, "at": now(), "transitions": TRANSITIONS_LINE}
        return job_from_fields(self._run(script, tenant, job_id, **given)[0])

    def _run(self, script: str, tenant: str, job_id: str, **arguments: str | int) -> Sequence[Any]:
        if not is_id("job", job_id):
            raise job_not_found(strict_json.printable(job_id))
        return self._store.run(script, job=job_id, tenant=tenant, **arguments)


def _place(cursor: str | None, scope: Scope) -> int:
    return 0 if cursor is None else decode_cursor(cursor, scope)
