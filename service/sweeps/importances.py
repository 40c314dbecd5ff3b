"""How much each path of a sweep matters, by Optuna. Nothing fails for want of trials. Knows no store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from service.spec import SweepSpec
from service.sweeps.ranking import compared
from service.sweeps.shown import quiet, shown_study
from service.sweeps.trial import Trial

LEAST_TRIALS = 2  # that importances can be taken from


class Importances(NamedTuple):
    """How much each path decides whether a trial is among the best tenth: they sum to 1. `note`: why there are none."""

    values: dict[str, float]  # the largest first
    trials: int  # how many they come from
    note: str | None

    def to_json(self) -> dict[str, Any]:
        """As it is answered."""
        found = [{"path": path, "importance": value} for path, value in self.values.items()]
        return {"importances": found, "trials": self.trials, "note": self.note}


def importances(spec: SweepSpec, trials: Sequence[Trial]) -> Importances:
    """How much each path matters, by PED-ANOVA. Source: Watanabe et al., arXiv 2304.10255."""
    there = compared(spec, trials)
    note = _nothing_to_weigh(there)
    if note:
        return Importances({}, len(there), note)
    with quiet():
        found = get_param_importances(shown_study(spec, there), evaluator=PedAnovaImportanceEvaluator())
    if not all(map(math.isfinite, found.values())):
        return Importances({}, len(there), "the values differ by more than numbers can hold")
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return Importances(dict(ranked), len(there), None)


def _nothing_to_weigh(there: Sequence[Trial]) -> str | None:
    if len(there) < LEAST_TRIALS:
        return f"importances need {LEAST_TRIALS} trials with a value, and there are {len(there)}"
    if len({trial.values for trial in there}) == 1:
        return f"all {len(there)} trials have the same value: no path makes a difference"
    return None
