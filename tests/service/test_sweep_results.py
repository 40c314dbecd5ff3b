"""What a sweep has found: the best by one objective and by several, its spec, the models kept, what matters."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from pyarrow import parquet

from service.errors import InvalidRequest, NoBestTrial
from service.spec import JobSpec
from service.sweeps.export import export
from service.sweeps.importances import importances
from service.sweeps.ranking import best_trials, from_the_best, fronts
from service.sweeps.result_forms import ExportForm
from service.sweeps.results import best_spec, models_to_drop
from service.sweeps.trial import Trial, TrialStatus
from tests.service.made_trials import RATE, TWO, chance_trials, failed, sweep, trial

BROKEN = (1.0,)
KEPT = (-1.0,)


def numbers(trials: Any) -> list[int]:
    return [each.number for each in trials]


def test_the_best_is_the_least_or_the_largest_and_the_first_of_equal_ones() -> None:
    trials = [trial(0, 3.0), trial(1, 1.0), trial(2, 2.0), trial(3, 1.0), trial(4, 3.0)]
    assert numbers(best_trials(sweep(), trials)) == [1]
    assert numbers(best_trials(sweep(objective={"metric": "m", "direction": "maximize"}), trials)) == [0]
    assert numbers(from_the_best(sweep(), trials)) == [1, 3, 2, 0, 4]


def test_what_failed_was_pruned_or_is_not_finite_is_never_the_best() -> None:
    pruned = trial(5, status=TrialStatus.PRUNED, intermediate={1: -9.0}, pruned_at=1)
    trials = [failed(0), trial(1, -math.inf), trial(2, math.nan), trial(3, 7.0), pruned]
    assert numbers(best_trials(sweep(), trials)) == [3]


def test_what_breaks_a_constraint_comes_last_by_how_little_it_does() -> None:
    spec = sweep(constraints=[{"metric": "parameter_count", "max": 10}])
    trials = [
        trial(0, 1.0, constraints=(5.0,)),
        trial(1, 9.0, constraints=KEPT),
        trial(2, 2.0, constraints=(0.5,)),
        trial(3, 8.0, constraints=(0.0,)),
    ]
    assert numbers(best_trials(spec, trials)) == [3]
    assert numbers(from_the_best(spec, trials)) == [3, 1, 2, 0]


def dominated(one: Trial, other: Trial) -> bool:
    """By the definition: accuracy is maximised, the count minimised."""
    (a, b), (c, d) = one.values or (), other.values or ()
    return c >= a and d <= b and (c > a or d < b)


@pytest.mark.parametrize("seed", range(20))
def test_a_front_is_what_no_other_is_better_than(seed: int) -> None:
    chance = random.Random(seed)
    trials = [trial(n, float(chance.randint(0, 6)), float(chance.randint(0, 6))) for n in range(chance.randint(1, 40))]
    spec, left, seen = sweep(objectives=TWO), list(trials), 0
    for front in fronts(spec, trials):
        expected = [one for one in left if not any(dominated(one, other) for other in left)]
        assert sorted(numbers(front)) == numbers(expected)
        left = [one for one in left if one not in expected]
        seen += len(front)
    assert seen == len(trials)


def test_the_best_spec_is_a_job_as_it_was_tried() -> None:
    spec = sweep(base={"dataset": "digits", "optimizer": {"name": "adam"}, "epochs": 3})
    params = {"optimizer.learning_rate": 0.25, "network.hidden": [{"units": 32, "activation": "tanh"}]}
    found = best_spec(spec, [trial(0, 2.0), trial(1, 1.0, params=params)])
    assert found == {
        "dataset": "digits",
        "optimizer": {"name": "adam", "learning_rate": 0.25},
        "network": {"hidden": [{"units": 32, "activation": "tanh"}]},
        "epochs": 3,
    }
    JobSpec.model_validate(found)


def test_one_of_a_front_is_chosen_by_its_number() -> None:
    spec, trials = sweep(objectives=TWO), [trial(0, 0.9, 100.0), trial(1, 0.5, 10.0), trial(2, 0.5, 100.0)]
    assert numbers(best_trials(spec, trials)) == [0, 1]
    assert best_spec(spec, trials, 1) == best_spec(sweep(), [trial(1, 0.0)])
    with pytest.raises(InvalidRequest, match=r"trial 2 is not among the best; allowed are \[0, 1\]") as refused:
        best_spec(spec, trials, 2)
    assert [error.pointer for error in refused.value.errors] == ["/trial"]


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        ([], "none of the 0 trials has succeeded"),
        ([failed(0), failed(1)], "none of the 2 trials has succeeded"),
        ([trial(0, math.nan)], "none of the 1 trials that have succeeded has a finite value of validation_loss"),
        ([trial(0, 1.0, constraints=BROKEN)], "none of the 1 trials with a value keeps all constraints"),
    ],
)
def test_where_there_is_no_best_it_says_why(trials: list[Trial], why: str) -> None:
    spec = sweep(constraints=[{"metric": "parameter_count", "max": 10}])
    with pytest.raises(NoBestTrial, match=why):
        best_spec(spec, trials)


def test_the_models_of_the_best_are_kept() -> None:
    trials = [trial(0, 3.0), failed(1), trial(2, 1.0, job_ids=("a", "b")), trial(3, 2.0), trial(4, math.nan)]
    running = trial(5, status=TrialStatus.RUNNING)
    assert models_to_drop(sweep(keep_models=2), [*trials, running]) == ["job-0", "job-1", "job-4"]
    assert models_to_drop(sweep(keep_models=9), trials) == ["job-1", "job-4"]
    assert models_to_drop(sweep(keep_models=0), trials) == ["job-0", "job-1", "a", "b", "job-3", "job-4"]


@pytest.mark.parametrize("several", [False, True])
def test_what_is_dropped_is_never_wanted_back(several: bool) -> None:
    spec = sweep(keep_models=3, **({"objectives": TWO} if several else {}))
    trials, dropped = chance_trials(spec, 60, 7), set[str]()
    for count in range(len(trials) + 1):
        there = trials[:count]
        assert not dropped & {job for best in best_trials(spec, there) for job in best.job_ids}
        now = set(models_to_drop(spec, there))
        assert dropped <= now
        dropped = now
    kept = [each for each in trials if each.status.ended and each.job_id not in dropped]
    assert {job for best in best_trials(spec, trials) for job in best.job_ids} <= {str(each.job_id) for each in kept}
    assert len(kept) == max(3, len(best_trials(spec, trials)))


def test_the_path_that_decides_is_the_most_important() -> None:
    spec = sweep()
    trials = [
        trial(each.number, math.log10(each.params["optimizer.learning_rate"]) ** 2, params=each.params)
        for each in chance_trials(spec, 200, 1)
    ]
    found = importances(spec, trials)
    assert next(iter(found.values)) == "optimizer.learning_rate"
    assert found.values["optimizer.learning_rate"] > 0.5
    assert sum(found.values.values()) == pytest.approx(1)
    assert (found.trials, found.note) == (200, None)
    assert found == importances(spec, trials[::-1])


def test_where_nothing_can_be_weighed_it_says_why() -> None:
    assert importances(sweep(), [trial(0, 1.0)]).note == "importances need 2 trials with a value, and there are 1"
    same = importances(sweep(), [trial(number, 1.0) for number in range(5)])
    assert (same.values, same.note) == ({}, "all 5 trials have the same value: no path makes a difference")


def rows_of(form: ExportForm, content: bytes) -> list[dict[str, Any]]:
    if form == "parquet":
        found: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content)).to_pylist()
        return found
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_table_has_every_trial_with_the_types_of_its_paths() -> None:
    spec = sweep()
    params = {"optimizer.learning_rate": 0.1, "network.hidden": [32], "early_stopping": None, "batch_size": 16}
    trials = [trial(1, math.nan, params={"shuffle": True}), trial(0, 0.1 + 0.2, params=params, job_ids=("a", "b"))]
    first, second = rows_of("parquet", export("parquet", spec, trials))
    assert (first["number"], first["values.validation_loss"], first["job_ids"]) == (0, 0.1 + 0.2, "a b")
    assert {path: first[f"params.{path}"] for path in (*params, "shuffle")} == {
        "optimizer.learning_rate": 0.1,
        "network.hidden": "[32]",
        "early_stopping": "null",
        "batch_size": 16,
        "shuffle": None,
    }
    assert (second["values.validation_loss"], second["params.shuffle"]) == (None, True)
    assert second["params.early_stopping"] is None
    lines = rows_of("csv", export("csv", spec, trials))
    assert list(lines[0]) == list(first)
    assert float(lines[0]["values.validation_loss"]) == 0.1 + 0.2
    assert (lines[1]["values.validation_loss"], lines[1]["params.shuffle"]) == ("", "true")


def test_a_table_keeps_its_columns_without_any_trial() -> None:
    schema = parquet.read_table(io.BytesIO(export("parquet", sweep(), []))).schema
    assert schema.equals(parquet.read_table(io.BytesIO(export("parquet", sweep(), [trial(0, 1.0)]))).schema)


def test_a_journal_is_one_that_optuna_opens(tmp_path: Path) -> None:
    spec = sweep(name="search")
    trials = chance_trials(spec, 30, 2)
    path = tmp_path / "journal"
    path.write_bytes(export("journal", spec, trials))
    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(path))))
    assert len(study.trials) == 30
    assert study.best_trial.number == best_trials(spec, trials)[0].number
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize(("form", "count"), [*itertools.product(["csv", "parquet", "journal"], [0, 1, 40])])
def test_whatever_trials_there_are_can_be_exported(form: ExportForm, count: int) -> None:
    for seed, several in itertools.product(range(3), (False, True)):
        spec = sweep(**({"objectives": TWO} if several else {}), space=RATE if seed == 2 else sweep().space)
        assert export(form, spec, chance_trials(spec, count, seed))
