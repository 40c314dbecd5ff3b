"""The Job of a record as Redis gives it. Knows no step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service import strict_json
from service.jobs import CheckpointRef, Job, JobStatus
from service.spec import JobSpec
from service.timestamps import at_ms


def job_from_fields(flat: Sequence[str]) -> Job:
    """The Job of: name, value, name, value …"""
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
        result=_result(fields),
        warnings=_document(fields, "warnings") or [],
        requested=fields.get("requested"),
        error=_document(fields, "error"),
        checkpoint=CheckpointRef(**strict_json.decode(checkpoint)) if checkpoint else None,
        dataset_sha256=fields["dataset_sha256"],
        sweep=fields.get("sweep"),
        trial=int(fields["trial"]) if "trial" in fields else None,
        prunes="prunes" in fields,
        **standing(fields),
    )


def standing(fields: dict[str, str]) -> dict[str, Any]:
    """Where a job is in line, what it waits for, for how long it has not been heard of."""
    position, due_ms, silent_ms = map(fields.get, ("queue_position", "due_ms", "silent_ms"))
    waits = due_ms is not None and fields["status"] == "queued"
    return {
        "queue_position": None if position is None else int(position),
        "waits_until": at_ms(int(due_ms)) if due_ms is not None and waits else None,
        "waits_for": fields.get("waits_for", "").split(),
        "silent_s": None if silent_ms is None else int(silent_ms) / 1000,
    }


def _result(fields: dict[str, str]) -> dict[str, Any] | None:
    """The result; a model that has been deleted is not named."""
    result: dict[str, Any] | None = _document(fields, "result")
    return {**result, "model_id": None} if result is not None and "model_gone" in fields else result


def _document(fields: dict[str, str], name: str) -> Any:
    return strict_json.decode(fields[name]) if name in fields else None
