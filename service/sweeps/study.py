"""The Optuna study of a sweep, made anew from the records of its trials; and the next point. Knows no store.

The records are the one truth: nothing that Optuna keeps outlives a call but the attributes that a trial carries.
Trials are numbered as in Optuna. Ended ones are told as they ended; a value that is not finite is a failure.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from service.spec import SweepSpec
from service.sweeps.grid import grid_points
from service.sweeps.samplers import distribution_of, inner, outer, sampler_for
from service.sweeps.space import contains, in_order, is_active
from service.sweeps.trial import Trial, TrialStatus

optuna.logging.set_verbosity(optuna.logging.ERROR)

NAME = "sweep"  # of every study: Optuna draws from its name, too
_CONSTRAINTS = "constraints"  # the attribute by which Optuna, and its dashboard, know them
_STATES = {TrialStatus.SUCCEEDED: TrialState.COMPLETE, TrialStatus.PRUNED: TrialState.PRUNED}


@dataclass(frozen=True)
class Asked:
    """A point to be tried, and what the sampler has left with it."""

    params: Mapping[str, Any]  # path -> value as it was given
    attributes: Mapping[str, Any]
    study_attributes: Mapping[str, Any]  # those that are new


def distributions_of(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """What each path is drawn from, in the order in which they are."""
    return {path: distribution_of(spec.space[path]) for path in in_order(spec.space)}


def build_study(spec: SweepSpec, trials: Sequence[Trial]) -> Study:
    """The study that has these trials, in the order of their numbers; user attributes name their jobs."""
    return _study_in(InMemoryStorage(), spec, trials)


def export_journal(spec: SweepSpec, trials: Sequence[Trial], path: Path) -> None:
    """Write the study as an Optuna journal file, which optuna-dashboard opens."""
    lines = _Lines()
    _study_in(JournalStorage(lines), spec, trials, spec.name or NAME)
    path.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines.logs), "utf-8")


class _Lines(BaseJournalBackend):
    """A journal's lines in memory: Optuna's own file is flushed to disk after each, milliseconds a trial."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def ask(spec: SweepSpec, trials: Sequence[Trial], number: int) -> Asked:
    """The point of trial `number`, when these are the trials before it; None are needed where nothing is learned."""
    return ask_study(spec, build_study(spec, trials if spec.learns else ()), number)


def ask_study(spec: SweepSpec, study: Study, number: int) -> Asked:
    """The same from a study that has them; it has the new one as well then, as running."""
    enqueued = dict(spec.points[number]) if number < len(spec.points) else {}
    if spec.sampling.name == "grid":
        return Asked(enqueued or grid_points(spec)[number - len(spec.points)], {}, {})
    distributions = distributions_of(spec)
    before = dict(study._storage.get_study_system_attrs(study._study_id))
    with _quiet():
        study.sampler = sampler_for(spec, number, distributions)
        if enqueued:
            study.enqueue_trial({path: inner(spec.space[path], value) for path, value in enqueued.items()})
        trial = study.ask()
        params: dict[str, Any] = {}
        for path, distribution in distributions.items():
            if is_active(spec.space[path], params):
                params[path] = outer(spec.space[path], trial._suggest(path, distribution))
    kept = study._storage.get_trial(trial._trial_id).system_attrs
    after = study._storage.get_study_system_attrs(study._study_id)
    added = {name: value for name, value in after.items() if before.get(name) != value}
    attributes = {name: value for name, value in kept.items() if name != "fixed_params"}
    return Asked({**params, **enqueued}, attributes, added)


def has(study: Study, count: int) -> bool:
    """Whether the study has exactly so many trials."""
    return len(study.get_trials(deepcopy=False)) == count


def end_in(study: Study, spec: SweepSpec, trial: Trial) -> None:
    """Let a trial that was asked of this study end there as its record says: as if the study were made anew."""
    storage = study._storage
    trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, trial.number)
    ended = frozen(spec, trial, distributions_of(spec))
    for epoch, value in ended.intermediate_values.items():
        storage.set_trial_intermediate_value(trial_id, epoch, value)
    for name, attribute in ended.system_attrs.items():
        storage.set_trial_system_attr(trial_id, name, attribute)
    storage.set_trial_state_values(trial_id, ended.state, ended.values if ended.values else None)


def _study_in(storage: Any, spec: SweepSpec, trials: Sequence[Trial], name: str = NAME) -> Study:
    with _quiet():
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[objective.direction for objective in spec.compared],
            pruner=optuna.pruners.NopPruner(),  # pruning is decided by service.sweeps.pruning
            sampler=optuna.samplers.RandomSampler(),
        )
        study.set_metric_names(_names(spec))
        distributions = distributions_of(spec)
        for trial in sorted(trials, key=lambda trial: trial.number):
            for key, value in trial.study_attributes.items():
                study._storage.set_study_system_attr(study._study_id, key, value)
            study.add_trial(frozen(spec, trial, distributions))
    return study


def frozen(spec: SweepSpec, trial: Trial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """A trial as Optuna has it."""
    state, values = _outcome(spec, trial)
    # A point that was given may lie outside of the space by now, or of a condition: Optuna would refuse it.
    params = {
        path: inner(spec.space[path], value)
        for path, value in trial.params.items()
        if path in spec.space and contains(spec.space[path], value)
    }
    constraints = {_CONSTRAINTS: list(trial.constraints)} if trial.constraints else {}
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=state,
        value=None,
        values=values,
        datetime_start=_moment(trial.created_at),
        datetime_complete=_moment(trial.finished_at) if state.is_finished() else None,
        params=params,
        distributions={path: distributions[path] for path in params},
        user_attrs={"job_ids": list(trial.job_ids)},
        system_attrs={**trial.attributes, **constraints},
        intermediate_values={epoch: value for epoch, value in _reported(trial).items() if math.isfinite(value)},
    )


def _outcome(spec: SweepSpec, trial: Trial) -> tuple[TrialState, list[float] | None]:
    if not trial.status.ended:
        return TrialState.RUNNING, None
    state, values = _STATES.get(trial.status, TrialState.FAIL), trial.values
    if state is TrialState.PRUNED:
        reached = list(_reported(trial).values())
        return state, reached[-1:] if reached and math.isfinite(reached[-1]) and len(spec.compared) == 1 else None
    if state is TrialState.COMPLETE and values is not None and all(map(math.isfinite, values)):
        return state, list(values)
    return TrialState.FAIL, None


def _reported(trial: Trial) -> dict[int, float]:
    """The intermediate values up to where it was stopped; None is not a number."""
    until = trial.pruned_at or math.inf
    there = sorted(trial.intermediate.items())
    return {epoch: math.nan if value is None else value for epoch, value in there if epoch <= until}


def _names(spec: SweepSpec) -> list[str]:
    return [objective.metric for objective in spec.compared]


def _moment(text: str | None) -> datetime:
    """As Optuna has times: local, without a zone."""
    moment = datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)
    return moment.astimezone().replace(tzinfo=None)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
