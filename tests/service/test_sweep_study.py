"""The study made from records: every sampler, conditions, choices of any kind, values that are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from service import strict_json
from service.spec import SweepSpec
from service.sweeps.grid import grid_points
from service.sweeps.space import contains, job_document, job_spec
from service.sweeps.study import ask, ask_study, build_study, end_in, export_journal
from service.sweeps.trial import Trial, TrialStatus

SPACE: dict[str, Any] = {
    "optimizer.learning_rate": {"log_uniform": [1e-3, 1e1]},
    "network.hidden": {"categorical": [[32], [64, 64], [{"units": 32, "activation": "tanh"}]]},
    "early_stopping": {"categorical": [None, {"metric": "validation_loss", "patience": 2}]},
    "batch_size": {"int": [16, 64], "step": 16},
    "optimizer.name": {"categorical": ["sgd", "adam"]},
    "optimizer.momentum": {"uniform": [0.0, 0.9], "when": {"optimizer.name": "sgd"}},
}
SAMPLERS = ["random", "tpe", "cma_es", "qmc", "nsga2"]


def sweep(**fields: Any) -> SweepSpec:
    return SweepSpec.model_validate({"base": {"dataset": "digits"}, "space": SPACE, "trials": 30, **fields})


def stored(spec: SweepSpec) -> SweepSpec:
    return SweepSpec.model_validate_json(strict_json.encode(spec.model_dump(mode="json")))


def loss(params: Mapping[str, Any]) -> float:
    rate = float(params["optimizer.learning_rate"])
    return math.nan if rate > 3 else abs(math.log10(rate) + 1) + len(params["network.hidden"])


def told(trial: Trial, value: float) -> Trial:
    if not math.isfinite(value):
        return replace(trial, status=TrialStatus.FAILED)
    return replace(trial, status=TrialStatus.SUCCEEDED, values=(value,))


def search(spec: SweepSpec, count: int, value: Callable[[Mapping[str, Any]], float] = loss) -> list[Trial]:
    trials: list[Trial] = []
    for number in range(count):
        asked = ask(spec, trials, number)
        attributes = strict_json.decode(strict_json.encode(dict(asked.attributes)))
        params = strict_json.decode(strict_json.encode(dict(asked.params)))
        trial = Trial(number, TrialStatus.RUNNING, params, (f"job-{number}",), attributes=attributes)
        trials.append(told(trial, value(asked.params)))
    return trials


def points(trials: list[Trial]) -> list[Mapping[str, Any]]:
    return [trial.params for trial in trials]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_goes_on_from_its_records_as_if_undisturbed(sampler: str) -> None:
    spec = sweep(sampler=sampler, seed=3)
    undisturbed = search(spec, 25)
    again = search(stored(spec), 25)
    assert points(undisturbed) == points(again)
    assert points(search(sweep(sampler=sampler, seed=4), 25)) != points(undisturbed)
    assert len({strict_json.encode(dict(point)) for point in points(undisturbed)}) == 25
    for point in points(undisturbed):
        assert ("optimizer.momentum" in point) is (point["optimizer.name"] == "sgd")
        assert all(contains(spec.space[path], value) for path, value in point.items())
        job_spec(spec, point)


@pytest.mark.parametrize("sampler", ["tpe", "cma_es", "nsga2"])
def test_a_study_that_is_kept_gives_the_points_of_one_made_anew(sampler: str) -> None:
    limits = [{"metric": "parameter_count", "max": 20}]
    spec = sweep(sampler={"name": "nsga2", "population_size": 4} if sampler == "nsga2" else sampler, constraints=limits)
    kept = build_study(spec, ())
    trials: list[Trial] = []
    for number in range(25):
        point = ask_study(spec, kept, number)
        anew = ask(spec, trials, number)
        assert point.params == anew.params
        assert set(point.attributes) == set(anew.attributes)
        trial = Trial(number, TrialStatus.RUNNING, point.params, attributes=point.attributes)
        trial = replace(trial, study_attributes=point.study_attributes, constraints=(float(number % 3 - 1),))
        ended = told(trial, loss(point.params))
        if number % 5 == 4:
            ended = replace(ended, status=TrialStatus.PRUNED, values=None, intermediate={1: 2.0, 2: 3.0}, pruned_at=2)
        end_in(kept, spec, ended)
        trials.append(ended)


def test_samplers_that_learn_find_more_than_chance() -> None:
    best = {
        name: min(trial.values[0] for trial in search(sweep(sampler=name, seed=1), 40) if trial.values)
        for name in ("random", "tpe")
    }
    assert best["tpe"] < best["random"]


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_what_learns_nothing_asks_nothing_of_other_trials(sampler: str) -> None:
    spec = sweep(sampler=sampler)
    assert points(search(spec, 8)) == [ask(spec, (), number).params for number in range(8)]


def test_a_grid_has_each_point_once_in_an_order_by_the_seed() -> None:
    space = {"batch_size": {"grid": [8, 16, 32]}, "seed": {"int": [1, 3]}}
    spec = sweep(sampler="grid", space=space, trials=None)
    found = [ask(spec, (), number).params for number in range(9)]
    assert {(point["batch_size"], point["seed"]) for point in found} == {(b, s) for b in (8, 16, 32) for s in (1, 2, 3)}
    assert found == list(grid_points(stored(spec)))
    assert found != list(grid_points(sweep(sampler="grid", space=space, seed=1)))


def test_a_grid_leaves_out_what_does_not_count_and_what_is_enqueued() -> None:
    space = {
        "optimizer.name": {"grid": ["sgd", "adam"]},
        "optimizer.momentum": {"grid": [0.0, 0.5, 0.9], "when": {"optimizer.name": "sgd"}},
    }
    first = {"optimizer.name": "sgd", "optimizer.momentum": 0.5}
    spec = sweep(sampler="grid", space=space, points=[first])
    assert ask(spec, (), 0).params == first
    assert len(grid_points(spec)) == 3
    assert first not in grid_points(spec)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_enqueued_points_come_first_and_the_sampler_fills_them_up(sampler: str) -> None:
    fixed = {"optimizer.learning_rate": 0.5, "network.hidden": [64, 64]}
    spec = sweep(sampler=sampler, points=[fixed, {"batch_size": 32}])
    found = points(search(spec, 3))
    assert {path: found[0][path] for path in fixed} == fixed
    assert found[1]["batch_size"] == 32
    assert all("optimizer.name" in point for point in found)


def test_values_that_are_not_finite_are_failures_and_end_nothing() -> None:
    spec = sweep(sampler="tpe", pruner="median")
    values = [math.inf, math.nan, -math.inf, 1.0]
    trials = [
        Trial(n, TrialStatus.SUCCEEDED, {"batch_size": 16}, values=(value,), intermediate={1: None, 2: value})
        for n, value in enumerate(values)
    ]
    study = build_study(spec, trials)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL", "FAIL", "COMPLETE"]
    assert study.best_value == 1.0
    ask(spec, trials, 4)


def test_pruned_and_running_trials_are_in_the_study_as_such() -> None:
    spec = sweep(sampler="tpe")
    pruned = Trial(0, TrialStatus.PRUNED, {"batch_size": 16}, intermediate={1: 3.0, 2: 2.0, 3: 9.0}, pruned_at=2)
    running = Trial(1, TrialStatus.RUNNING, {"batch_size": 32})
    study = build_study(spec, [running, pruned])
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "RUNNING"]
    assert study.trials[0].intermediate_values == {1: 3.0, 2: 2.0}
    assert study.trials[0].value == 2.0
    assert ask(spec, [pruned, running], 2).params


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "qmc"])
def test_several_objectives_have_a_front_of_feasible_trials(sampler: str) -> None:
    objectives = [{"metric": "validation_accuracy", "direction": "maximize"}, {"metric": "parameter_count"}]
    limits = [{"metric": "parameter_count", "max": 100}]
    spec = sweep(sampler=sampler, objectives=objectives, constraints=limits)
    trials: list[Trial] = []
    for number in range(15):
        params = ask(spec, trials, number).params
        size = float(params["batch_size"])
        status, values = TrialStatus.SUCCEEDED, (size / 64, 4 * size)
        trials.append(Trial(number, status, params, values=values, constraints=(4 * size - 100,)))
    assert {trial.values[1] for trial in build_study(spec, trials).best_trials} == {64.0}


def test_a_study_is_exported_as_a_journal_that_optuna_opens(tmp_path: Path) -> None:
    spec = sweep(sampler="tpe", name="widths")
    trials = search(spec, 12)
    export_journal(spec, trials, tmp_path / "study.log")
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    study = optuna.load_study(study_name="widths", storage=optuna.storages.JournalStorage(backend))
    assert [trial.params for trial in study.trials] == [trial.params for trial in build_study(spec, trials).trials]
    assert study.best_value == min(trial.values[0] for trial in trials if trial.values)
    assert study.trials[3].user_attrs == {"job_ids": ["job-3"]}


def test_the_dashboard_finds_constraints_in_a_journal(tmp_path: Path) -> None:
    spec = sweep(constraints=[{"metric": "train_loss", "max": 1}, {"metric": "parameter_count", "max": 9}])
    trials = [replace(trial, constraints=(-0.5, 2.0)) for trial in search(spec, 2, lambda _: 1.0)]
    export_journal(spec, trials, tmp_path / "study.log")
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    (_, found) = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend)).trials
    assert found.system_attrs["constraints"] == [-0.5, 2.0]  # where optuna-dashboard looks
    assert list(found.constraints.values()) == [-0.5, 2.0]


def test_values_go_into_their_places_wholes_before_their_parts() -> None:
    base = {"dataset": "iris", "seed": 5, "optimizer": {"schedule": "cosine"}}
    spec = sweep(base=base)
    params = {
        "network.hidden.1.activation": "tanh",
        "network.hidden": [8, 4],
        "network.activation.alpha": 0.2,
        "early_stopping.patience": 3,
    }
    with pytest.raises(ValueError, match="no place"):
        job_document(spec, {**params, "network.hidden.2": 5})
    with pytest.raises(ValueError, match=r"network.bias is true, which has no fields"):
        job_document(sweep(base={**base, "network": {"bias": True}}), {"network.bias.x": 5})
    document = job_document(spec, params, repeat=2)
    assert document["network"] == {"hidden": [8, {"units": 4, "activation": "tanh"}], "activation": {"alpha": 0.2}}
    assert document["early_stopping"] == {"patience": 3}
    assert document["seed"] == 7
