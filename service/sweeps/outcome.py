"""What becomes of a trial whose jobs have ended: its values, those of the weights kept. Knows no store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from service.jobs import Job, JobStatus
from service.spec import SweepSpec
from service.sweeps.checks import PARAMETER_COUNT
from service.sweeps.trial import Trial, TrialStatus

KEPT_EPOCHS = 200  # of the values on the way, where no pruner needs all of them

Rows = Sequence[Mapping[str, Any]]


def outcome(spec: SweepSpec, trial: Trial, jobs: Sequence[Job], rows: Sequence[Rows]) -> Trial:
    """The trial as it has ended; `rows` are the metrics of each job's epochs."""
    reported = intermediate(spec, rows)
    until = trial.pruned_at or math.inf
    ended = replace(
        trial,
        intermediate={epoch: value for epoch, value in reported.items() if epoch <= until},
        fused_with=jobs[0].result.get("fused_with") if jobs and jobs[0].result else None,
    )
    status = _status(trial, jobs)
    if status is not TrialStatus.SUCCEEDED:
        error = next((job.error for job in jobs if job.error is not None), None)
        return replace(ended, status=status, error=trial.error or error)
    values = [_mean(objective.metric, trial, jobs) for objective in spec.compared]
    limits = [(_mean(one.metric, trial, jobs), one) for one in spec.constraints]
    missing = [one.metric for one, value in zip(spec.compared, values, strict=True) if value is None]
    missing += [one.metric for value, one in limits if value is None]
    if missing:
        detail = f"{', '.join(missing)} has no finite value for these weights"
        return replace(ended, status=TrialStatus.FAILED, error={"title": "No value", "detail": detail, "hint": ""})
    excess = [
        max(value - (math.inf if one.max is None else one.max), (-math.inf if one.min is None else one.min) - value)
        for value, one in limits
        if value is not None
    ]
    return replace(
        ended,
        status=status,
        values=tuple(value for value in values if value is not None),
        constraints=tuple(excess),
    )


def intermediate(spec: SweepSpec, rows: Sequence[Rows]) -> dict[int, float | None]:
    """The first objective's value at each epoch that all jobs have reached, a mean over them."""
    metric = spec.compared[0].metric
    if metric == PARAMETER_COUNT or not rows:
        return {}
    found = {
        epoch: _mean_of([row.get(metric) for row in there]) for epoch, there in enumerate(zip(*rows, strict=False), 1)
    }
    step = 1 if spec.prunes else math.ceil(len(found) / KEPT_EPOCHS) or 1
    return {epoch: value for epoch, value in found.items() if epoch % step == 0 or epoch == len(found)}


def score(spec: SweepSpec, trial: Trial) -> float | None:
    """A trial's place among the best, the lowest first, of several objectives the same; None: it is not among them."""
    if trial.values is None or not trial.feasible:
        return None
    if len(trial.values) > 1:
        return 0.0
    return trial.values[0] if spec.compared[0].direction == "minimize" else -trial.values[0]


def models_of(jobs: Sequence[Job]) -> list[str]:
    """The models that these jobs have made: not those of other jobs, whose results they took (`reuse`)."""
    results = [job.result for job in jobs if job.result is not None and "reused_from" not in job.result]
    return [result["model_id"] for result in results if result.get("model_id")]


def _status(trial: Trial, jobs: Sequence[Job]) -> TrialStatus:
    there = {job.status for job in jobs}
    if trial.error is not None:
        return TrialStatus.FAILED
    if trial.pruned_at is not None and there == {JobStatus.CANCELLED}:
        return TrialStatus.PRUNED
    if there == {JobStatus.SUCCEEDED}:
        return TrialStatus.SUCCEEDED
    return (
        TrialStatus.CANCELLED if JobStatus.FAILED not in there and JobStatus.CANCELLED in there else TrialStatus.FAILED
    )


def _mean(metric: str, trial: Trial, jobs: Sequence[Job]) -> float | None:
    if metric == PARAMETER_COUNT:
        return None if trial.parameters is None else float(trial.parameters)
    return _mean_of([_value(metric, job.result or {}) for job in jobs])


def _value(metric: str, result: Mapping[str, Any]) -> float | None:
    """Of the weights kept; of folds their mean, where they have it."""
    over_folds = result.get("cross_validation", {}).get(metric)
    value: float | None = result.get(metric) if over_folds is None else over_folds["mean"]
    return value


def _mean_of(values: Sequence[float | None]) -> float | None:
    there = [float(value) for value in values if value is not None and math.isfinite(value)]
    return fmean(there) if values and len(there) == len(values) else None
