"""What a trial's value is, and which trials no other beats."""

from __future__ import annotations

import random
from typing import Any

from service.jobs import Job, JobStatus
from service.spec import JobSpec, SweepSpec
from service.sweeps.outcome import intermediate, outcome, score
from service.sweeps.ranking import best_trials
from service.sweeps.study import build_study
from service.sweeps.trial import Trial, TrialStatus


def sweep(**fields: Any) -> SweepSpec:
    space = {"optimizer.learning_rate": {"uniform": [0.1, 1.0]}}
    return SweepSpec.model_validate({"base": {"dataset": "d"}, "space": space, "trials": 9, **fields})


def job(status: JobStatus = JobStatus.SUCCEEDED, **result: Any) -> Job:
    return Job("job-x", "ada", status, JobSpec(dataset="d"), 1, "", result=result or None)


TRIAL = Trial(0, TrialStatus.RUNNING, {}, ("job-x",), parameters=120)


def test_the_value_is_the_results_a_mean_over_repeats_and_over_folds() -> None:
    assert outcome(sweep(), TRIAL, [job(validation_loss=2.0)], []).values == (2.0,)
    assert outcome(sweep(), TRIAL, [job(validation_loss=2.0), job(validation_loss=3.0)], []).values == (2.5,)
    folds = job(cross_validation={"validation_loss": {"mean": 0.5, "std": 0.1}}, train_loss=1.0)
    assert outcome(sweep(), TRIAL, [folds], []).values == (0.5,)


def test_a_trial_says_with_how_many_it_was_trained_however_it_ended() -> None:
    for status in (JobStatus.SUCCEEDED, JobStatus.CANCELLED):
        assert outcome(sweep(), TRIAL, [job(status, validation_loss=2.0, fused_with=7)], []).fused_with == 7


def test_a_value_that_is_none_fails_the_trial_and_says_which() -> None:
    found = outcome(sweep(objective={"metric": "validation_auc"}), TRIAL, [job(validation_auc=None)], [])
    assert found.status is TrialStatus.FAILED
    assert found.error is not None
    assert "validation_auc" in found.error["detail"]
    infinite = outcome(sweep(), TRIAL, [job(validation_loss=float("inf"))], [])
    assert (infinite.status, infinite.values) == (TrialStatus.FAILED, None)


def test_constraints_are_what_is_too_much() -> None:
    spec = sweep(
        constraints=[{"metric": "parameter_count", "max": 100}, {"metric": "train_loss", "min": 0.5, "max": 2}]
    )
    found = outcome(spec, TRIAL, [job(validation_loss=1.0, train_loss=0.75)], [])
    assert found.constraints == (20.0, -0.25)
    assert not found.feasible
    assert score(spec, found) is None
    assert score(sweep(objective={"direction": "maximize"}), found) is None


def test_a_trial_is_as_its_jobs_pruned_only_where_it_was_stopped() -> None:
    cancelled, failed = job(JobStatus.CANCELLED), job(JobStatus.FAILED)
    assert outcome(sweep(), TRIAL, [cancelled], []).status is TrialStatus.CANCELLED
    assert outcome(sweep(), TRIAL, [cancelled, failed], []).status is TrialStatus.FAILED
    stopped = Trial(0, TrialStatus.RUNNING, {}, ("job-x",), pruned_at=2)
    rows = [[{"validation_loss": 3.0}, {"validation_loss": 2.0}, {"validation_loss": 1.0}]]
    found = outcome(sweep(pruner="asha"), stopped, [cancelled], rows)
    assert (found.status, found.intermediate) == (TrialStatus.PRUNED, {1: 3.0, 2: 2.0})


def test_of_many_epochs_some_values_are_kept_and_the_last() -> None:
    rows = [[{"validation_loss": float(epoch)} for epoch in range(1, 1002)]]
    found = intermediate(sweep(), rows)
    assert len(found) <= 201
    assert found[1001] == 1001.0
    assert len(intermediate(sweep(pruner="asha"), rows)) == 1001


def test_the_front_is_optunas() -> None:
    draw = random.Random(1)
    objectives = [{"metric": "validation_loss"}, {"metric": "parameter_count", "direction": "maximize"}]
    spec = sweep(objectives=objectives, constraints=[{"metric": "train_loss", "max": 1}])
    trials = [
        Trial(
            number,
            TrialStatus.SUCCEEDED,
            {},
            values=(float(draw.randint(0, 9)), float(draw.randint(0, 9))),
            constraints=(draw.choice([-1.0, 1.0]),),
        )
        for number in range(60)
    ]
    expected = sorted(trial.number for trial in build_study(spec, trials).best_trials)
    assert [trial.number for trial in best_trials(spec, trials)] == expected
