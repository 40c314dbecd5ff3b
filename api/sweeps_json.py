"""What users see of sweeps and their trials. Knows no request."""

from __future__ import annotations

from collections.abc import Sequence

from api.render import JSON, resolution_json
from service.folds import most_epochs
from service.spec import SweepSpec
from service.sweeps.checks import Checked
from service.sweeps.sweep import Sweep
from service.sweeps.trial import Trial


def sweep_json(sweep: Sweep, best: Sequence[Trial] | None) -> JSON:
    """A sweep with its best trials; None: they have not been looked for."""
    return {
        "id": sweep.id,
        "status": sweep.status.value,
        "spec": _spec_json(sweep.spec),
        "created_at": sweep.created_at,
        "started_at": sweep.started_at,
        "finished_at": sweep.finished_at,
        "progress": {
            "trials": sweep.trials,
            "asked": sweep.asked,
            "open": sweep.open,
            **{status.value: count for status, count in sweep.ended.items()},
            "fraction": _fraction(sweep),
        },
        "best": None if best is None else [_best_json(sweep, trial) for trial in best],
        "warnings": list(sweep.warnings),
        "error": sweep.error,
        "links": {
            "self": f"/v1/sweeps/{sweep.id}",
            "trials": f"/v1/sweeps/{sweep.id}/trials",
            "jobs": f"/v1/jobs?sweep={sweep.id}",
            "events": f"/v1/events?sweep={sweep.id}",
        },
    }


def _spec_json(spec: SweepSpec) -> JSON:
    """A sweep's spec, as it can be submitted again: what the base leaves open is open, since a warm start fills it."""
    return {**spec.model_dump(mode="json"), "base": spec.base.model_dump(mode="json", exclude_unset=True)}


def trial_json(trial: Trial) -> JSON:
    """A trial."""
    return {
        "number": trial.number,
        "job_id": trial.job_id,
        "job_ids": list(trial.job_ids),
        "status": trial.status.value,
        "params": dict(trial.params),
        "values": None if trial.values is None else list(trial.values),
        "feasible": trial.feasible if trial.values is not None else None,
        "fused_with": trial.fused_with,
        "pruned_at": trial.pruned_at,
        "created_at": trial.created_at,
        "finished_at": trial.finished_at,
        "error": None if trial.error is None else dict(trial.error),
    }


def checked_json(spec: SweepSpec, checked: Checked) -> JSON:
    """What a sweep would be."""
    return {
        "spec": _spec_json(spec),
        "trials": checked.trials,
        "jobs": None if checked.trials is None else checked.trials * spec.repeats,
        "epochs": None if checked.trials is None else checked.trials * spec.repeats * most_epochs(checked.first.spec),
        "first": resolution_json(checked.first),
        "warnings": list(checked.warnings),
    }


def _best_json(sweep: Sweep, trial: Trial) -> JSON:
    values = trial.values or ()
    found: JSON = {"number": trial.number, "job_id": trial.job_id, "values": list(values), "params": dict(trial.params)}
    return {**found, "value": values[0]} if len(sweep.spec.compared) == 1 else found


def _fraction(sweep: Sweep) -> float:
    if sweep.status.terminal:
        return 1.0
    return (sweep.asked - sweep.open) / sweep.trials if sweep.trials else 0.0
