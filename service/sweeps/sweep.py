"""A sweep, as its record says. Knows no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service import strict_json
from service.jobs import JobStatus
from service.spec import SweepSpec
from service.sweeps.trial import Trial, TrialStatus

ENDINGS = (TrialStatus.SUCCEEDED, TrialStatus.FAILED, TrialStatus.CANCELLED, TrialStatus.PRUNED)


@dataclass(frozen=True)
class Sweep:
    """A sweep; changed only by the store's atomic steps. Its states are those of a job."""

    id: str
    tenant: str
    status: JobStatus
    spec: SweepSpec
    sequence: int
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    trials: int | None = None  # how many there will be; None: no number is set
    asked: int = 0  # how many there are
    open: int = 0  # how many of these have not ended
    ended: dict[TrialStatus, int] = field(default_factory=dict)  # how many ended how
    best: int | None = None  # the number of the best trial, of several objectives of one of the best
    started_ms: int | None = None  # since 1970
    paused_ms: int = 0  # for how long it has been paused, all times added
    warnings: Sequence[str] = ()
    error: dict[str, Any] | None = None

    @property
    def deadline_ms(self) -> float | None:
        """Since 1970: no trial is made after; None: there is no such time."""
        if self.spec.time_limit_s is None or self.started_ms is None:
            return None
        return self.started_ms + self.paused_ms + 1000 * self.spec.time_limit_s


def sweep_from_fields(flat: Sequence[str]) -> Sweep:
    """The Sweep of: name, value, name, value …"""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return Sweep(
        id=fields["id"],
        tenant=fields["tenant"],
        status=JobStatus(fields["status"]),
        spec=SweepSpec.model_validate_json(fields["spec"]),
        sequence=int(fields["sequence"]),
        created_at=fields["created_at"],
        started_at=fields.get("started_at"),
        finished_at=fields.get("finished_at"),
        trials=_whole(fields.get("trials")),
        asked=int(fields["asked"]),
        open=int(fields["open"]),
        ended={status: int(fields.get(status, 0)) for status in ENDINGS},
        best=_whole(fields.get("best")),
        started_ms=_whole(fields.get("started_ms")),
        paused_ms=int(fields.get("paused_ms", 0)),
        warnings=strict_json.decode(fields["warnings"]),
        error=_document(fields, "error"),
    )


def trial_from_fields(flat: Sequence[str], job_statuses: Sequence[str]) -> Trial:
    """The Trial of its record and, until it has ended, the statuses of its jobs."""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    values = _document(fields, "values")
    reported = _document(fields, "intermediate") or {}
    return Trial(
        number=int(fields["number"]),
        status=TrialStatus(fields["status"]) if "status" in fields else _status(job_statuses),
        params=strict_json.decode(fields["params"]),
        job_ids=tuple(fields["jobs"].split()),
        values=None if values is None else tuple(values),
        constraints=tuple(_document(fields, "constraints") or ()),
        intermediate={int(epoch): value for epoch, value in reported.items()},
        pruned_at=_whole(fields.get("pruned_at")),
        attributes=strict_json.decode(fields["attributes"]),
        study_attributes=strict_json.decode(fields["study_attributes"]),
        created_at=fields["created_at"],
        finished_at=fields.get("finished_at"),
        fused_with=_whole(fields.get("fused_with")),
        parameters=_whole(fields.get("parameters")),
        error=_document(fields, "error"),
    )


def _status(jobs: Sequence[str]) -> TrialStatus:
    """Where a trial is whose jobs are here: those that have ended wait for the sweeper to look at them."""
    waiting = [status for status in (TrialStatus.RUNNING, TrialStatus.QUEUED, TrialStatus.PAUSED) if status in jobs]
    return waiting[0] if waiting else TrialStatus.RUNNING


def _whole(text: str | None) -> int | None:
    return int(text) if text else None


def _document(fields: dict[str, str], name: str) -> Any:
    return strict_json.decode(fields[name]) if name in fields else None
