"""Sweeps and trials as the API answers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from deltaq.records import JobError, JobStatus, Record, Types


class TrialStatus(StrEnum):
    """Where a trial is in its life: as its job, or stopped early."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"


@dataclass(frozen=True, kw_only=True)
class SweepProgress(Record):
    """How many trials there are to be, how many there are, and how they ended; `fraction` goes from 0 to 1."""

    trials: int | None = None
    asked: int = 0
    open: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    pruned: int = 0
    fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Trial(Record):
    """A point of the space and what became of it; `values` are those of the objectives, of the weights kept."""

    number: int
    status: TrialStatus = TrialStatus.SUCCEEDED
    job_id: str | None = None
    job_ids: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    fused_with: int | None = None
    pruned_at: int | None = None
    error: JobError | None = None

    @property
    def value(self) -> float | None:
        """That of the first objective."""
        return self.values[0] if self.values else None

    _types: ClassVar[Types] = {
        "status": TrialStatus,
        "job_ids": tuple,
        "values": tuple,
        "error": JobError.read,
    }


@dataclass(frozen=True, kw_only=True)
class SweepRecord(Record):
    """A sweep as the service last described it."""

    id: str
    status: JobStatus
    spec: Mapping[str, Any] = field(default_factory=dict)
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    progress: SweepProgress = field(default_factory=SweepProgress)
    best: tuple[Trial, ...] = ()
    warnings: tuple[str, ...] = ()
    error: JobError | None = None

    _types: ClassVar[Types] = {
        "status": JobStatus,
        "progress": SweepProgress.read,
        "best": lambda found: tuple(map(Trial.read, found)),
        "warnings": tuple,
        "error": JobError.read,
    }
