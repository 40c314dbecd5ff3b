"""One job of several folds and the refit: as if each had been a job of its own, whatever disturbs it and wherever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.folds import cross_validation, next_stage, refit_epochs
from service.jobs import Job, JobStatus
from service.resolution import resolve
from service.spec import JobSpec
from service.store import Store
from tests.service.attempt_room import AttemptRoom, Disturb, ObservedAttempt
from tests.service.data_room import builtin_dataset
from tests.service.families import until

FOLDS, EPOCHS = 3, 2
STEPS_OF_FOLD, STEPS_OF_REFIT = 8, 10  # two epochs of 100 rows, and of 150, in mini-batches of 32
STEPS = FOLDS * STEPS_OF_FOLD + STEPS_OF_REFIT
SPEC: dict[str, Any] = {"data": {"folds": FOLDS}, "epochs": EPOCHS, "early_stopping": None}


@pytest.fixture(autouse=True)
def logged() -> Iterator[None]:
    """Keep the processes' own log out of the tests'."""
    with capture_logs():
        yield


@pytest.fixture
def room(store: Store, tmp_path: Path) -> AttemptRoom:
    """Checkpoints are written where they are asked for, alone."""
    return AttemptRoom(store, tmp_path)


def rows(room: AttemptRoom, job: Job) -> list[dict[str, Any]]:
    return list(room.rooms.jobs.metrics(room.rooms.tenant, job.id).items)


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "samples_per_s"} for row in rows]


def result(job: Job) -> dict[str, Any]:
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.result is not None
    return dict(job.result)


def same(job: Job) -> dict[str, Any]:
    """What belongs to the spec alone."""
    return {name: value for name, value in result(job).items() if name not in ("seconds", "model_id")}


def test_the_result_holds_each_fold_and_the_rows_are_numbered_through(room: AttemptRoom) -> None:
    room.submit(**SPEC)
    job = room.run()
    found, made = result(job), rows(room, job)
    assert [row["epoch"] for row in made] == list(range(1, 9))
    assert [row["fold"] for row in made] == [1, 1, 2, 2, 3, 3, None, None]
    assert ["validation_f1" in row for row in made] == [row["fold"] is not None for row in made]
    assert (found["steps"], found["epochs"], found["best_epoch"]) == (STEPS, 8, 8)
    assert job.progress["step"] == job.progress["steps"] == STEPS
    assert [(fold["fold"], fold["best_epoch"], fold["epochs"]) for fold in found["folds"]] == [
        (1, 2, 2), (2, 2, 2), (3, 2, 2)
    ]  # fmt: skip
    for fold, last in zip(found["folds"], (made[1], made[3], made[5]), strict=True):
        for name in ("validation_loss", "validation_auc", "train_loss"):
            assert fold["metrics"][name] == last[name]
    values = [fold["metrics"]["validation_accuracy"] for fold in found["folds"]]
    assert found["cross_validation"]["validation_accuracy"] == {"mean": fmean(values), "std": stdev(values)}
    assert set(found["cross_validation"]) == set(found["folds"][0]["metrics"])
    assert found["train_loss"] == made[-1]["train_loss"]
    assert not any(name.startswith("validation_") for name in found)
    confusion = found["confusion_matrix"]
    assert confusion["part"] == "folds"
    assert [sum(row) for row in confusion["matrix"]] == [50, 50, 50]
    right = sum(confusion["matrix"][number][number] for number in range(3))
    assert right / 150 == pytest.approx(fmean(values))


def test_the_refit_is_what_a_job_on_all_rows_trains(room: AttemptRoom) -> None:
    room.submit(**SPEC)
    folds = result(room.run())
    room.submit(data={"validation_fraction": 0.0}, epochs=EPOCHS, early_stopping=None)
    alone = result(room.run())
    assert folds["weights_sha256"] == alone["weights_sha256"]
    assert {name: value for name, value in folds.items() if name.startswith("train_")} == {
        name: value for name, value in alone.items() if name.startswith("train_")
    }


def test_each_fold_stops_early_and_the_refit_trains_for_the_mean_of_their_best_epochs(room: AttemptRoom) -> None:
    room.submit(**{**SPEC, "epochs": 40, "early_stopping": {"metric": "validation_accuracy", "patience": 3}})
    job = room.run()
    found, made = result(job), rows(room, job)
    best = [fold["best_epoch"] for fold in found["folds"]]
    for fold in found["folds"]:
        own = [row for row in made if row["fold"] == fold["fold"]]
        assert len(own) == fold["epochs"] < 40
        assert fold["epochs"] == fold["best_epoch"] + 3
        kept = own[fold["best_epoch"] - 1]
        assert fold["metrics"]["validation_accuracy"] == kept["validation_accuracy"]
        assert fold["metrics"]["validation_accuracy"] == max(row["validation_accuracy"] for row in own)
    refit = [row for row in made if row["fold"] is None]
    assert len(refit) == max(int(fmean(best) + 0.5), 1)
    assert [row["epoch"] for row in made] == list(range(1, len(made) + 1))
    assert (found["best_epoch"], found["stopped_by"]) == (len(made), "epochs")
    assert job.progress["fraction"] == 1.0


def pause(room: AttemptRoom) -> Disturb:
    def disturb(attempt: ObservedAttempt) -> None:
        room.rooms.jobs.request(room.rooms.tenant, attempt.lease_at_work.job_id, "pause")
        until(lambda: attempt.beat.requested == "pause", "the flag")

    return disturb


PLACES = [1, STEPS_OF_FOLD, STEPS_OF_FOLD + 1, 2 * STEPS_OF_FOLD + 4, 3 * STEPS_OF_FOLD + 3, STEPS]


def test_paused_in_any_of_them_it_goes_on_with_the_same_bits(room: AttemptRoom) -> None:
    room.submit(**SPEC)
    whole = room.run()
    job = room.submit(**SPEC)
    for place in PLACES:
        paused = room.run({place: pause(room)})
        assert paused.status is JobStatus.PAUSED
        assert paused.checkpoint is not None
        assert paused.checkpoint.step == place
        room.rooms.jobs.resume(room.rooms.tenant, job.id)
    again = room.run()
    assert again.attempt == len(PLACES) + 1
    assert same(again) == same(whole)
    assert comparable(rows(room, again)) == comparable(rows(room, whole))
    assert room.files("checkpoints") == []


def test_paused_between_two_of_them_it_keeps_the_one_that_is_done(room: AttemptRoom) -> None:
    room.submit(**SPEC)
    whole = room.run()

    def pause_at_the_second(attempt: ObservedAttempt) -> None:
        if attempt.training is None:
            attempt.passed.remove("connected")
        else:
            pause(room)(attempt)

    job = room.submit(**SPEC)
    paused = room.run({"connected": pause_at_the_second})
    assert paused.checkpoint is not None
    assert paused.checkpoint.step == STEPS_OF_FOLD
    assert room.epochs(paused) == [1, 2]
    room.rooms.jobs.resume(room.rooms.tenant, job.id)
    assert same(room.run()) == same(whole)


def test_lost_in_a_fold_it_goes_on_from_the_newest_checkpoint(store: Store, tmp_path: Path) -> None:
    room = AttemptRoom(store, tmp_path, checkpoint_s=0.0)
    room.submit(**SPEC)
    whole = room.run()
    job = room.submit(**SPEC)

    def die(attempt: ObservedAttempt) -> None:
        until(lambda: room.rooms.job(job.id).checkpoint is not None, "a checkpoint on record")
        room.rooms.queue.expire(attempt.lease_at_work, 1, beat=None, reason="taken away")
        raise SystemExit

    for place in (STEPS_OF_FOLD + 5, 2 * STEPS_OF_FOLD + 3, STEPS - 2):
        with pytest.raises(SystemExit):
            room.run({place: die})
    assert same(room.run()) == same(whole)
    assert comparable(rows(room, job)) == comparable(rows(room, whole))


def test_folds_take_one_seed_and_a_fold_number_changes_nothing_else() -> None:
    resolution = resolve(JobSpec.model_validate({"dataset": "iris", **SPEC}), builtin_dataset("iris"))
    assert (resolution.train_rows, resolution.validation_rows) == (150, 0)
    stages = []
    finished: list[dict[str, Any]] = []
    while True:
        stages.append(next_stage(resolution, finished))
        if stages[-1].fold is None:
            break
        finished.append({"best_epoch": 2, "epochs": 2, "steps": STEPS_OF_FOLD})
    assert [stage.fold for stage in stages] == [0, 1, 2, None]
    assert [stage.resolution.train_rows for stage in stages] == [100, 100, 100, 150]
    assert [stage.span.steps_before for stage in stages] == [0, 8, 16, 24]
    assert [stage.span.steps_after for stage in stages] == [26, 18, 10, 0]
    assert {stage.resolution.spec.seed for stage in stages} == {0}
    assert stages[-1].resolution.spec.early_stopping is None


@pytest.mark.parametrize(("best", "epochs"), [([1, 2], 2), ([1, 1, 2], 1), ([7], 7), ([3, 4, 4], 4)])
def test_the_mean_of_the_best_epochs_is_rounded(best: list[int], epochs: int) -> None:
    assert refit_epochs([{"best_epoch": each} for each in best]) == epochs


def test_a_metric_that_a_fold_has_not_is_averaged_over_the_others() -> None:
    folds = [{"metrics": {"validation_auc": value}} for value in (None, 0.5, 0.7)]
    assert cross_validation(folds) == {"validation_auc": {"mean": fmean([0.5, 0.7]), "std": stdev([0.5, 0.7])}}
    folds = [{"metrics": {"validation_auc": value}} for value in (None, 0.5)]
    assert cross_validation(folds) == {"validation_auc": {"mean": 0.5, "std": None}}
