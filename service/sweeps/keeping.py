"""The models of a sweep's best trials are kept, those of the others deleted; their jobs keep hash and metrics.

Which trials still have models is on record (`Sweeps.models`), so that whoever dies halfway is followed by another, and
the trials that are looked at are few however many there have been. A model with an alias is left to who gave it that.
"""

from __future__ import annotations

from service.models import ModelStore
from service.sweeps.records import Sweeps
from service.sweeps.results import models_to_drop
from service.sweeps.sweep import Sweep

AT_LEAST = 8  # models too many before they are looked at, while a sweep runs


class ModelKeeper:
    """Deletes what is not worth keeping."""

    def __init__(self, sweeps: Sweeps, models: ModelStore) -> None:
        self._sweeps = sweeps
        self._models = models
        self._left: dict[str, int] = {}  # by sweep: how many had to stay when they were last looked at

    def keep_best(self, sweep: Sweep, *, ended: bool = False) -> None:
        """Delete models until the best remain; while a sweep runs only once there are some more than that.

        Raises: StoreUnavailable.
        """
        most = sweep.spec.keep_models
        if not ended:
            most = max(most, self._left.get(sweep.id, 0)) + AT_LEAST
        if self._sweeps.model_count(sweep.id) > most:
            self._left[sweep.id] = self._delete(sweep)
        if ended:
            self._left.pop(sweep.id, None)

    def _delete(self, sweep: Sweep) -> int:
        """Delete all that need not be kept; answers how many trials keep theirs."""
        there = self._sweeps.models(sweep.id)
        trials = self._sweeps.trials(sweep.id, sorted(there))
        dropped = set(models_to_drop(sweep.spec, trials))
        numbers = [trial.number for trial in trials if dropped.issuperset(trial.job_ids)]
        self._models.delete_unnamed(sweep.tenant, [model for number in numbers for model in there[number]])
        self._sweeps.forget_models(sweep.id, numbers)
        return len(there) - len(numbers)
