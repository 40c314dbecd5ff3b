"""Jobs that ended long ago: their records move from Redis to the artifact store, and are still there to be read.

An archived job is one file, `jobs/<id>.jsonl`: its record with its log, then its metrics, a row a line. The file is
written first, and Redis forgets the record only if nothing has happened to the job meanwhile (a retry); until then the
record holds, and the file says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from service import strict_json
from service.artifacts import Artifacts, Chunk
from service.checkpoints import check_format
from service.cursors import DEFAULT_LIMIT, Page, check_limit, decode_cursor, encode_cursor
from service.errors import JobNotFound, Unavailable
from service.ids import is_id
from service.job_fields import job_from_fields
from service.job_records import Jobs
from service.jobs import Job, JobStatus
from service.refusals import archived, dead_parent, job_not_found
from service.store import Store, key

log = structlog.get_logger()

FORMAT = 1
_AT_ONCE = 100
_ROWS_AT_ONCE = 1000

Row = dict[str, Any]


@dataclass(frozen=True)
class ArchivedJob:
    """A job whose record is a file."""

    job: Job
    logs: list[Row]
    metrics: list[Row]
    last_event: str  # its id


class History:
    """Jobs wherever their records are; the caller's tenant sees its own."""

    def __init__(self, store: Store, jobs: Jobs, artifacts: Artifacts) -> None:
        self._store = store
        self._jobs = jobs
        self._artifacts = artifacts

    def get(self, tenant: str, job_id: str) -> Job:
        """One job. Raises: JobNotFound."""
        try:
            return self._jobs.get(tenant, job_id)
        except JobNotFound:
            return self.archived(tenant, job_id).job

    def metrics(self, tenant: str, job_id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Row]:
        """As `Jobs.metrics`."""
        try:
            return self._jobs.metrics(tenant, job_id, cursor=cursor, limit=limit)
        except JobNotFound:
            return _page(self.archived(tenant, job_id).metrics, ("metrics", tenant, job_id), cursor, limit)

    def logs(self, tenant: str, job_id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Row]:
        """As `Jobs.logs`."""
        try:
            return self._jobs.logs(tenant, job_id, cursor=cursor, limit=limit)
        except JobNotFound:
            return _page(self.archived(tenant, job_id).logs, ("logs", tenant, job_id), cursor, limit)

    def steer(self, tenant: str, job_id: str, verb: str, step: Callable[[str, str], Job]) -> Job:
        """Do what is asked of a job. Raises: as the step; IllegalTransition for one whose record is archived."""
        try:
            return step(tenant, job_id)
        except JobNotFound:
            raise archived(job_id, self.archived(tenant, job_id).job.status, verb) from None

    def done_long_ago(self, tenant: str, after: Sequence[str]) -> list[str]:
        """Those of the jobs that a spec is to come after which have succeeded and are archived.

        Raises: InvalidSpec naming one that is archived and has not succeeded.
        """
        done = []
        for place, job_id in enumerate(after):
            try:
                found = self.archived_only(tenant, job_id)
            except JobNotFound:
                continue  # the step that accepts the job says so
            if found is not None and found.job.status is not JobStatus.SUCCEEDED:
                raise dead_parent(job_id, found.job.status, str(place))
            if found is not None:
                done.append(job_id)
        return done

    def archived_of(self, tenant: str, job_ids: Sequence[str]) -> dict[str, Job]:
        """Those of the jobs whose records are archived. Raises: JobNotFound."""
        found = {job_id: self.archived_only(tenant, job_id) for job_id in job_ids}
        return {job_id: archived.job for job_id, archived in found.items() if archived is not None}

    def archived_only(self, tenant: str, job_id: str) -> ArchivedJob | None:
        """The job if its record is archived; None where Redis has it. Raises: JobNotFound."""
        try:
            self._jobs.get(tenant, job_id)
        except JobNotFound:
            return self.archived(tenant, job_id)
        return None

    def archived(self, tenant: str, job_id: str) -> ArchivedJob:
        """A job that Redis knows no more. Raises: JobNotFound; NewerFormat; StoreUnavailable."""
        if not is_id("job", job_id):
            raise job_not_found(strict_json.printable(job_id))
        try:
            head, *rows = self._artifacts.read(_path(job_id)).splitlines()
        except FileNotFoundError:
            raise job_not_found(job_id) from None
        document = strict_json.decode(head)
        check_format(document, FORMAT, f"the archive of job {job_id}")
        if document["tenant"] != tenant:
            raise job_not_found(job_id)
        record = document["record"]
        if "model" in record and not self._store.command("EXISTS", key("model", record["model"])):
            record["model_gone"] = "1"
        fields = [part for name, value in record.items() for part in (name, value)]
        return ArchivedJob(
            job_from_fields(fields), document["logs"], list(map(strict_json.decode, rows)), document["last_event"]
        )

    def archive(self, age_s: float) -> list[str]:
        """Move the records of jobs that ended at least so many seconds ago; answers their ids.

        Raises: StoreUnavailable.
        """
        moved: list[str] = []
        until_ms = round(1000 * (time.time() - age_s))
        while True:
            found = self._store.command("ZRANGEBYSCORE", key("ended"), "-inf", until_ms, "LIMIT", 0, _AT_ONCE)
            forgotten = [job_id for job_id in found if self._try_to_archive(job_id)]
            moved += forgotten
            if not forgotten:
                return moved

    def _try_to_archive(self, job_id: str) -> bool:
        """One that cannot be archived must not keep those behind it."""
        try:
            return self._archive(job_id)
        except Unavailable:
            raise
        except Exception:
            log.exception("a job cannot be archived", job=job_id)
            return False

    def _archive(self, job_id: str) -> bool:
        record: dict[str, str] = self._store.command("HGETALL", key("job", job_id))
        last_event = record.get("last_event")
        if last_event is None:  # it has been put into the queue again
            return False
        logs = self._store.command("XRANGE", key("job", job_id, "logs"), "-", "+")
        rows = list(self._rows(job_id))
        if self._store.command("HGET", key("job", job_id), "last_event") != last_event:
            return False  # forgotten or put into the queue meanwhile: what was read may not be whole
        head = {
            "format": FORMAT,
            "tenant": record["tenant"],
            "last_event": last_event,
            "logs": [strict_json.decode(entry["line"]) for _, entry in logs],
            "record": record,
        }
        self._artifacts.write(_path(job_id), [strict_json.encode(head).encode(), *rows])
        return bool(self._store.run("forget_job", job=job_id, last_event=last_event)[0])

    def _rows(self, job_id: str) -> Iterator[Chunk]:
        first = 0
        while rows := self._store.command("LRANGE", key("job", job_id, "metrics"), first, first + _ROWS_AT_ONCE - 1):
            yield "".join(f"\n{row}" for row in rows).encode()
            first += len(rows)


def _path(job_id: str) -> str:
    return f"jobs/{job_id}.jsonl"


def _page(rows: Sequence[Row], scope: tuple[str, ...], cursor: str | None, limit: int) -> Page[Row]:
    first = 0 if cursor is None else decode_cursor(cursor, scope)
    count = check_limit(limit)
    following = encode_cursor(first + count, scope) if first + count < len(rows) else None
    return Page(list(rows[first : first + count]), following)
