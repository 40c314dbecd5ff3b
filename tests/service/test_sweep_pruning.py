"""Which trials are stopped: by successive halving those that Optuna stops, by shares those that all show to be bad."""

from __future__ import annotations

import random
import warnings
from typing import Any, Literal

import optuna
import pytest

from service.spec import SweepSpec
from service.sweeps.pruning import NAME, Pruner, Reported, most_epochs

Direction = Literal["minimize", "maximize"]


def sweep(**fields: Any) -> SweepSpec:
    space = {"optimizer.learning_rate": {"uniform": [0.1, 1.0]}}
    return SweepSpec.model_validate({"base": {"dataset": "d", "epochs": 20}, "space": space, "trials": 9, **fields})


def level(value: float | None, epochs: int) -> list[float | None]:
    return [value] * epochs


def stopped(spec: SweepSpec, values: list[list[float | None]], most: int) -> dict[int, int]:
    """At which epoch each trial is stopped when all are trained side by side."""
    pruner, reported, found = Pruner(spec), Reported(), dict[int, int]()
    for epoch in range(1, most + 1):
        for number, own in enumerate(values):
            if number not in found:
                reported.add(number, epoch, own[epoch - 1])
                if pruner.stops(number, epoch, reported):
                    found[number] = epoch
    return found


def stopped_by_optuna(
    pruner: optuna.pruners.BasePruner, values: list[list[float]], direction: Direction
) -> dict[int, int]:
    study = optuna.create_study(pruner=pruner, direction=direction, study_name=NAME)
    trials = [study.ask() for _ in values]
    found: dict[int, int] = {}
    for epoch in range(1, len(values[0]) + 1):
        for number, trial in enumerate(trials):
            if number not in found:
                trial.report(values[number][epoch - 1], epoch)
                if trial.should_prune():
                    found[number] = epoch
    return found


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_successive_halving_stops_whom_optuna_stops(direction: Direction, factor: int) -> None:
    draw = random.Random(factor)
    values = [[draw.random() for _ in range(20)] for _ in range(40)]
    objective = {"metric": "validation_loss", "direction": direction}
    spec = sweep(pruner={"name": "asha", "reduction_factor": factor}, objective=objective)
    theirs = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=factor)
    ours = stopped(spec, [list(own) for own in values], 20)
    assert ours == stopped_by_optuna(theirs, values, direction)
    assert 20 < len(ours) < 40


def test_hyperband_stops_whom_optuna_stops() -> None:
    draw = random.Random(5)
    values = [[draw.random() for _ in range(20)] for _ in range(40)]
    theirs = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=20, reduction_factor=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = stopped_by_optuna(theirs, values, "minimize")
    ours = stopped(sweep(pruner="hyperband"), [list(own) for own in values], 20)
    assert ours == expected
    assert len(set(ours.values())) > 2


@pytest.mark.parametrize("pruner", ["median", "percentile", "asha", "hyperband"])
def test_trials_in_lockstep_are_stopped_though_none_has_completed(pruner: str) -> None:
    values: list[list[float | None]] = [[float(number)] * 20 for number in range(64)]
    found = stopped(sweep(pruner=pruner), values, 20)
    assert len(found) > 20
    assert 0 not in found


@pytest.mark.parametrize("pruner", ["median", "percentile", "asha", "hyperband"])
def test_a_value_that_is_not_finite_is_worse_than_all(pruner: str) -> None:
    values: list[list[float | None]] = [*[level(1.0, 9)] * 12, level(None, 9), level(float("inf"), 9)]
    found = stopped(sweep(pruner=pruner, base={"dataset": "d", "epochs": 9}), values, 9)
    assert set(found) >= {12, 13}


def test_a_trial_is_judged_by_its_best_value_and_only_by_enough_others() -> None:
    values: list[list[float | None]] = [*[level(1.0, 3)] * 4, [0.5, 9.0, 9.0]]
    assert stopped(sweep(pruner={"name": "median", "startup_trials": 4}), values, 3) == {}
    worse: list[list[float | None]] = [*[level(1.0, 3)] * 4, level(2.0, 3)]
    assert stopped(sweep(pruner={"name": "median", "startup_trials": 4}), worse, 3) == {4: 1}
    assert stopped(sweep(pruner={"name": "median", "startup_trials": 5}), worse, 3) == {}
    late = sweep(pruner={"name": "median", "startup_trials": 4, "warmup_epochs": 2})
    assert stopped(late, worse, 3) == {4: 3}


def test_the_most_epochs_are_those_of_the_space_and_of_folds() -> None:
    assert most_epochs(sweep()) == 20
    assert most_epochs(sweep(space={"epochs": {"grid": [3, 30]}})) == 30
    assert most_epochs(sweep(space={"epochs": {"log_int": [3, 30]}})) == 30
    assert most_epochs(sweep(base={"dataset": "d", "epochs": 5, "data": {"folds": 3}})) == 20
