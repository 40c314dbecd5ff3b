"""What a job is: its states, the transitions between them, its record. Knows neither Redis nor Ray.

    queued → running → succeeded | failed | cancelled
    queued | running | paused → cancelled;  queued ↔ paused;  running → paused
    running → queued   (worker lost beyond repair, pre-empted, drained, an error that may pass)
    failed | cancelled → queued   (explicit retry)

TRANSITIONS is the one mapping of them; the store refuses every other change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.spec import JobSpec


class JobStatus(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Nothing more happens by itself."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


TRANSITIONS: frozenset[tuple[JobStatus, JobStatus]] = frozenset(
    {
        (JobStatus.QUEUED, JobStatus.RUNNING),
        (JobStatus.QUEUED, JobStatus.PAUSED),
        (JobStatus.QUEUED, JobStatus.CANCELLED),
        (JobStatus.RUNNING, JobStatus.SUCCEEDED),
        (JobStatus.RUNNING, JobStatus.FAILED),
        (JobStatus.RUNNING, JobStatus.CANCELLED),
        (JobStatus.RUNNING, JobStatus.PAUSED),
        (JobStatus.RUNNING, JobStatus.QUEUED),
        (JobStatus.PAUSED, JobStatus.QUEUED),
        (JobStatus.PAUSED, JobStatus.CANCELLED),
        (JobStatus.FAILED, JobStatus.QUEUED),
        (JobStatus.CANCELLED, JobStatus.QUEUED),
    }
)


# TRANSITIONS as the Lua steps take it: " queued>running running>failed … ", each between two spaces.
TRANSITIONS_LINE = f" {' '.join(sorted(f'{source}>{target}' for source, target in TRANSITIONS))} "


@dataclass(frozen=True)
class Lease:
    """The right to run a job: only the holder of the job's present token may write to it."""

    job_id: str
    token: str  # "<counter>-<128 random bits in hex>", compared whole

    @property
    def generation(self) -> int:
        """The token's counter: of two leases of one job the later has the larger."""
        return int(self.token.partition("-")[0])


@dataclass(frozen=True)
class CheckpointRef:
    """Where a checkpoint is; it exists once the job's record names it."""

    path: str  # below the artifact store's root
    sha256: str
    step: int  # steps done since the job began
    fingerprint: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A job as its record says; changed only by the store's atomic steps."""

    id: str
    tenant: str
    status: JobStatus
    spec: JobSpec  # every auto resolved
    sequence: int  # order of acceptance, unique; cursors are made of it
    created_at: str  # RFC 3339 UTC
    started_at: str | None = None
    finished_at: str | None = None
    attempt: int = 0  # how often it was claimed
    queue_position: int | None = None  # how many queued jobs go before it; None: it does not wait for slots
    waits_until: str | None = None  # RFC 3339 UTC: it is not in line before
    waits_for: list[str] = field(default_factory=list)  # jobs that have to succeed before
    retried: int = 0  # how many of its retries are used up
    ran_s: float = 0.0  # how long its attempts have run
    silent_s: float | None = field(default=None, compare=False)  # since it was last heard of, while it runs
    progress: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] | None = None  # the latest row
    result: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    requested: str | None = None  # cancel | pause, asked for and not yet done
    error: dict[str, Any] | None = None  # title, detail, hint
    checkpoint: CheckpointRef | None = None
    dataset_sha256: str = ""
    sweep: str | None = None  # the sweep that it belongs to
    trial: int | None = None  # the number of its trial there
    prunes: bool = False  # it goes on after an epoch only when a pruner has looked at it
