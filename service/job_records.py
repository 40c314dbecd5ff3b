"""The jobs as their tenants see and steer them: accept, show, list, cancel, pause, resume, retry. Knows no runner.

Another tenant's job is not found, here and everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from service import strict_json
from service.cursors import DEFAULT_LIMIT, Page, Scope, check_limit, decode_cursor, encode_cursor
from service.gang_size import GangSize
from service.ids import is_id, new_id
from service.jobs import TRANSITIONS_LINE, CheckpointRef, Job, JobStatus
from service.refusals import job_not_found
from service.spec import JobSpec
from service.spec.times import moment_of
from service.store import Store
from service.timestamps import at_ms, now

_WALK = 2000  # members of an index that one step looks at

Verb = Literal["cancel", "pause"]
RetryFrom = Literal["checkpoint", "start"]
Idempotency = tuple[str, str]  # the Idempotency-Key as sent, the SHA-256 of the request that came with it


class DatasetIdentity(Protocol):
    """What a job needs to know of its data set."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def sha256(self) -> str:
        """Of its bytes as they were uploaded."""


@dataclass(frozen=True)
class Limits:
    """How many jobs may be queued before no more are accepted; None: there is no limit."""

    queued: int | None = None
    queued_tenant: int | None = None  # of each tenant


class Jobs:
    """The job records of all tenants."""

    def __init__(self, store: Store, limits: Limits = Limits()) -> None:
        self._store = store
        self._limits = limits

    def accept(
        self,
        tenant: str,
        spec: JobSpec,
        dataset: DatasetIdentity,
        warnings: Sequence[str] = (),
        idempotency: Idempotency | None = None,
        size: GangSize | None = None,
        validation: DatasetIdentity | None = None,
        *,
        done: Sequence[str] = (),
        work: str | None = None,
        fingerprint: str | None = None,
    ) -> tuple[Job, bool]:
        """Queue a job whose spec has every auto resolved; the same Idempotency-Key and request give the job made first.

        It gets workers by its `size`, and as many as its spec allows where none is given. `validation` is the data
        set of its own that it validates on; `done` has those of `spec.after` that have succeeded and are archived.
        `work` is the digest of what it does. With the digest of a `fingerprint`, a job of the same work and kernels
        that has succeeded answers for it: it is created `succeeded`, with that one's result and model.
        Returns the job, and whether it was created now.
        Raises: UnknownDataset; InvalidSpec naming a job in `after` that cannot succeed any more; QueueFull;
        IdempotencyConflict; StoreUnavailable, then nothing or all of it has happened.
        """
        digest, request = _digests(idempotency)
        size = size or GangSize.of_spec(spec)
        due_ms = None if spec.not_before is None else round(1000 * moment_of(spec.not_before).timestamp())
        job_id, at = new_id("job"), now()
        created, first, *standing = self._store.run(
            "accept",
            job=job_id,
            tenant=tenant,
            spec=strict_json.encode(spec.model_dump(mode="json")),
            dataset=dataset.id,
            sha256=dataset.sha256,
            validation=None if validation is None else validation.id,
            priority=spec.priority,
            retries=spec.retries,
            after=" ".join(spec.after) or None,
            done=" ".join(done) or None,
            work=work,
            fingerprint=fingerprint,
            due_ms=due_ms,
            max_queued=self._limits.queued,
            max_queued_tenant=self._limits.queued_tenant,
            width=size.least,
            max_slots=size.most,
            compute_s=repr(size.compute_s),
            size_bytes=size.size_bytes,
            tags=strict_json.encode(_tag_words(spec.tags)),
            warnings=strict_json.encode(list(warnings)),
            at=at,
            idempotency=digest,
            request=request,
        )
        if not isinstance(first, str):
            return job_from_fields(first), created == 1
        found = {"status": "queued", **dict(zip(standing[::2], standing[1::2], strict=True))}
        if due_ms is not None and "queue_position" not in found:
            found["due_ms"] = str(due_ms)
        job = Job(
            id=job_id,
            tenant=tenant,
            status=JobStatus.QUEUED,
            spec=spec,
            sequence=int(first),
            created_at=at,
            warnings=list(warnings),
            dataset_sha256=dataset.sha256,
            **_standing(found),
        )
        return job, True

    def find_idempotent(self, tenant: str, idempotency: Idempotency) -> str | None:
        """The id of the job that this key and request made already, before anything else about it is looked at.

        Raises: IdempotencyConflict when the key came with another request.
        """
        digest, request = _digests(idempotency)
        found = self._store.run("find_idempotent", tenant=tenant, idempotency=digest, request=request)
        return str(found[0]) if found else None

    def get(self, tenant: str, job_id: str) -> Job:
        """One job. Raises: JobNotFound."""
        return self._step("get_job", tenant, job_id)

    def list(
        self,
        tenant: str,
        *,
        status: JobStatus | None = None,
        tag: str | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Job]:
        """Jobs, newest first; `tag` is `key` or `key=value`. What matches throughout comes exactly once.

        Raises: InvalidRequest naming `cursor` or `limit`.
        """
        scope = ("jobs", tenant, status, tag)
        before = "" if cursor is None else str(decode_cursor(cursor, scope))
        jobs: list[Job] = []
        count = check_limit(limit)
        tag = None if tag is None else strict_json.printable(tag)
        while True:
            before, *found = self._store.run(
                "list_jobs", tenant=tenant, status=status, tag=tag, before=before, count=count - len(jobs), walk=_WALK
            )
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


def job_from_fields(flat: Sequence[str]) -> Job:
    """The Job of a record as Redis gives it: name, value, name, value …"""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    checkpoint = fields.get("checkpoint")
    return Job(
        id=fields["id"],
        tenant=fields["tenant"],
        status=JobStatus(fields["status"]),
        spec=JobSpec.model_validate_json(fields["spec"]),
        sequence=int(fields["sequence"]),
        created_at=fields["created_at"],
        started_at=fields.get("started_at"),
        finished_at=fields.get("finished_at"),
        attempt=int(fields["attempt"]),
        retried=int(fields.get("retried", 0)),
        ran_s=(int(fields.get("ran_ms", 0)) + int(fields.get("attempt_ms", 0))) / 1000,
        progress=_document(fields, "progress") or {},
        metrics=_document(fields, "metrics"),
        result=_document(fields, "result"),
        warnings=_document(fields, "warnings") or [],
        requested=fields.get("requested"),
        error=_document(fields, "error"),
        checkpoint=CheckpointRef(**strict_json.decode(checkpoint)) if checkpoint else None,
        dataset_sha256=fields["dataset_sha256"],
        **_standing(fields),
    )


def _standing(fields: dict[str, str]) -> dict[str, Any]:
    """Where a job is in line, what it waits for, for how long it has not been heard of."""
    position, due_ms, silent_ms = map(fields.get, ("queue_position", "due_ms", "silent_ms"))
    waits = due_ms is not None and fields["status"] == "queued"
    return {
        "queue_position": None if position is None else int(position),
        "waits_until": at_ms(int(due_ms)) if due_ms is not None and waits else None,
        "waits_for": fields.get("waits_for", "").split(),
        "silent_s": None if silent_ms is None else int(silent_ms) / 1000,
    }


def _document(fields: dict[str, str], name: str) -> Any:
    return strict_json.decode(fields[name]) if name in fields else None


def _tag_words(tags: dict[str, str]) -> list[str]:
    return sorted({word for name, value in tags.items() for word in (name, f"{name}={value}")})


def _digests(idempotency: Idempotency | None) -> tuple[str | None, str | None]:
    if idempotency is None:
        return None, None
    sent, request = idempotency
    return hashlib.sha256(sent.encode("utf-8", "surrogatepass")).hexdigest(), request
