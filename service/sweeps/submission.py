"""From a sweep's spec as a user wrote it to a sweep that the sweeper goes through. Knows no HTTP and no Optuna."""

from __future__ import annotations

import time

from service import strict_json
from service.errors import IllegalTransition
from service.refusals import fewer_trials
from service.spec import SweepSpec
from service.submission import Submission
from service.sweeps.checks import Checked, check_sweep, most_trials
from service.sweeps.records import Sweeps
from service.sweeps.starts import with_ids
from service.sweeps.sweep import Sweep


class SweepSubmission:
    """The way of sweeps in."""

    def __init__(self, sweeps: Sweeps, submission: Submission) -> None:
        self._sweeps = sweeps
        self._submission = submission

    def check(self, tenant: str, spec: SweepSpec) -> Checked:
        """Say what a sweep comes to; nothing is made. Raises: InvalidSpec; UnknownDataset."""
        return self._check(tenant, self._with_ids(tenant, spec))

    def submit(self, tenant: str, spec: SweepSpec, idempotency_key: str | None = None) -> Sweep:
        """Accept a sweep; the same key and spec again give the sweep that they made.

        Raises: InvalidSpec; UnknownDataset; IdempotencyConflict; StoreUnavailable.
        """
        request = strict_json.sha256({"sweep": spec.model_dump(mode="json", exclude_defaults=True)})
        idempotency = None if idempotency_key is None else (idempotency_key, request)
        if idempotency is not None:
            made = self._sweeps.find_idempotent(tenant, idempotency)
            if made is not None:
                return self._sweeps.get(tenant, made)
        spec = self._with_ids(tenant, spec)  # once: whatever aliases do later, all trials begin with the same models
        found = self._check(tenant, spec)
        sweep, _ = self._sweeps.create(
            tenant,
            spec,
            trials=found.trials,
            datasets=found.datasets,
            warnings=found.warnings,
            idempotency=idempotency,
        )
        return sweep

    def _check(self, tenant: str, spec: SweepSpec) -> Checked:
        return check_sweep(spec, lambda job: self._submission.resolve(tenant, job))

    def _with_ids(self, tenant: str, spec: SweepSpec) -> SweepSpec:
        return with_ids(spec, lambda named: self._submission.model_id(tenant, named))

    def extend(self, tenant: str, sweep_id: str, trials: int) -> Sweep:
        """Let a sweep have so many trials in all.

        Raises: SweepNotFound; IllegalTransition when it is cancelled, or its time is over; InvalidSpec for more than
        its grid has, or fewer than there are.
        """
        sweep = self._sweeps.get(tenant, sweep_id)
        if sweep.deadline_ms is not None and sweep.status != "paused" and 1000 * time.time() > sweep.deadline_ms:
            raise IllegalTransition(f"sweep {sweep_id} has had its time_limit_s: no more trials can be made")
        most = most_trials(sweep.spec)
        if most is not None and trials > most:
            raise fewer_trials(str(trials), str(sweep.asked), str(most))
        return self._sweeps.extend(tenant, sweep_id, trials)
