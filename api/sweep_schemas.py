"""The answers about sweeps as OpenAPI documents them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Answer, DryRun, JobError, Time
from service.jobs import JobStatus
from service.spec import SweepSpec
from service.spec.sweep import Count
from service.sweeps.trial import TrialStatus


class SweepProgress(Answer):
    """How many trials there are, and how they ended."""

    trials: int | None = Field(description="How many there will be; null: as many as its time allows")
    asked: int = Field(description="How many there are")
    open: int = Field(description="How many of these have not ended")
    succeeded: int
    failed: int
    cancelled: int
    pruned: int
    fraction: float


class BestTrial(Answer):
    """A trial that no other beats."""

    number: int
    job_id: str | None
    values: list[float] = Field(description="Of the objectives, in their order")
    value: float | None = Field(None, description="Of a single objective")
    params: dict[str, Any]


class SweepLinks(Answer):
    """Where to go from a sweep."""

    self: str
    trials: str
    jobs: str
    events: str


class Sweep(Answer):
    """A search over jobs."""

    id: str
    status: JobStatus
    spec: SweepSpec
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    progress: SweepProgress
    best: list[BestTrial] | None = Field(description="The best trial; with several objectives the Pareto front")
    warnings: list[str]
    error: JobError | None
    links: SweepLinks


class Trial(Answer):
    """A point of the space, and what became of it."""

    number: int = Field(description="From 0")
    job_id: str | None = Field(description="null: its spec was refused, which `error` tells")
    job_ids: list[str] = Field(description="One a repeat")
    status: TrialStatus
    params: dict[str, Any] = Field(description="By path, as they were given; those alone whose `when` holds")
    values: list[float] | None = Field(description="Of the objectives, of the weights kept; a mean over the repeats")
    feasible: bool | None = Field(description="Whether it keeps all constraints, once it has values")
    fused_with: int | None = Field(description="How many other trials its job was trained together with")
    pruned_at: int | None = Field(description="The epoch after which it was stopped")
    created_at: Time
    finished_at: Time | None
    error: JobError | None


class SweepDryRun(Answer):
    """What a sweep would be; nothing was made."""

    spec: SweepSpec
    trials: int | None
    jobs: int | None
    epochs: int | None = Field(description="Of all its jobs, at most, with the first value of each path")
    first: DryRun = Field(description="A job with the first value of each path")
    warnings: list[str]


class SweepChange(BaseModel):
    """What of a sweep is to be changed."""

    model_config = ConfigDict(strict=True, extra="forbid")

    trials: Count = Field(description="How many there are to be in all: no fewer than it has")


class Importance(Answer):
    """How much a path matters."""

    path: str
    importance: float


class Importances(Answer):
    """How much each path decides whether a trial is among the best tenth: they sum to 1, the largest first."""

    importances: list[Importance]
    trials: int = Field(description="How many trials they come from")
    note: str | None = Field(description="Why there are none")


class Figure(Answer):
    """A figure's own data by name; as `plotly`, `data` and `layout` as Plotly takes them."""

    name: str | None = None
    note: str | None = Field(None, description="Why there is nothing to show")
    data: list[dict[str, Any]] | None = None
    layout: dict[str, Any] | None = None
