"""One trial of a sweep, as its record says. Knows no store and no Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TrialStatus(StrEnum):
    """Where a trial is in its life: as its job, or `pruned`."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"

    @property
    def ended(self) -> bool:
        """What became of it is known, and told to the sampler."""
        return self not in (TrialStatus.QUEUED, TrialStatus.RUNNING, TrialStatus.PAUSED)


@dataclass(frozen=True)
class Trial:
    """A point of the space, and what became of it.

    `values` are those of the objectives, in their order, of the weights kept, a mean over the jobs of a repeated one;
    None until it has succeeded. `constraints` are at most 0 where they are kept.
    """

    number: int  # from 0, without gaps
    status: TrialStatus
    params: Mapping[str, Any]  # path -> value as it was given; those alone whose `when` holds
    job_ids: tuple[str, ...] = ()  # one a repeat; none where the spec was refused
    values: tuple[float, ...] | None = None
    constraints: tuple[float, ...] = ()
    intermediate: Mapping[int, float | None] = field(default_factory=dict)  # epoch, from 1 -> first objective
    pruned_at: int | None = None  # the epoch after which it was stopped
    attributes: Mapping[str, Any] = field(default_factory=dict)  # what the sampler keeps on a trial
    study_attributes: Mapping[str, Any] = field(default_factory=dict)  # what it had added to the study by then
    created_at: str = ""  # RFC 3339 UTC
    finished_at: str | None = None
    fused_with: int | None = None  # how many other trials its job was trained together with
    parameters: int | None = None  # of its network
    error: Mapping[str, Any] | None = None  # title, detail, hint; before its end: why it has no more jobs

    @property
    def job_id(self) -> str | None:
        """Its job, the first of a repeated one."""
        return self.job_ids[0] if self.job_ids else None

    @property
    def feasible(self) -> bool:
        """Whether it keeps all constraints."""
        return all(excess <= 0 for excess in self.constraints)
