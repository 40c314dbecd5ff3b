"""Early stopping on any metric: which way is better, what does not count, and which metrics there are to name."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from service.errors import InvalidSpec
from service.metrics import METRICS
from service.resolution import LOSSES, resolve
from service.resolution.stopping import watchable
from service.spec import EarlyStopping, JobSpec
from service.spec.stopping import Watched
from service.stopping import judge
from service.training_state import TrainingState
from tests.service.data_room import builtin_dataset, table_dataset
from workers.mlp.losses import LOSSES as KINDS


def run(metric: Any, values: list[float | None], **fields: Any) -> tuple[TrainingState, list[bool]]:
    state, found = TrainingState(), []
    stopping = EarlyStopping(metric=metric, **{"patience": 2, **fields})
    for epoch, value in enumerate(values, start=1):
        found.append(judge(stopping, state, {"epoch": epoch, metric: value}))
        if state.stopped:
            break
    return state, found


@pytest.mark.parametrize("metric", get_args(Watched))
def test_errors_improve_downwards_and_all_else_upwards(metric: str) -> None:
    down, up = run(metric, [0.5, 0.4, 0.3]), run(metric, [0.5, 0.6, 0.7])
    error = metric.endswith(("loss", "mae", "rmse"))
    assert (down[1], up[1]) == ((3 * [True], [True, False, False]) if error else ([True, False, False], 3 * [True]))
    assert (down[0].best_epoch, up[0].best_epoch) == ((3, 1) if error else (1, 3))
    assert (down[0].stopped_by, up[0].stopped_by) == ((None, "early_stopping") if error else ("early_stopping", None))


def test_an_improvement_is_more_than_min_delta() -> None:
    _, found = run("validation_f1", [0.5, 0.625, 0.626, 0.74, 0.76], patience=9, min_delta=0.125)
    assert found == [True, False, True, False, True]


def test_what_has_no_value_does_not_improve_and_counts_towards_patience() -> None:
    state, found = run("validation_auc", [None, 0.5, None, 0.4])
    assert found == [False, True, False, False]
    assert (state.best_epoch, state.stopped_by) == (2, "early_stopping")
    state, found = run("validation_auc", [None, None, 0.5])
    assert found == [False, False]
    assert (state.best_epoch, state.best_row, state.stopped_by) == (0, None, "early_stopping")


def test_every_metric_of_every_task_can_be_named() -> None:
    figures = {"loss", *(name for names in METRICS.values() for name in names)}
    assert set(get_args(Watched)) == {f"validation_{name}" for name in figures} | {"train_loss", "train_accuracy"}


@pytest.mark.parametrize(
    ("name", "loss", "allowed"),
    [
        ("iris", "auto", "loss accuracy balanced_accuracy f1 auc log_loss"),
        ("iris", "hinge", "loss accuracy balanced_accuracy f1 auc"),
        ("breast_cancer", "auto", "loss accuracy balanced_accuracy f1 auc log_loss"),
        ("diabetes", "auto", "loss r2 mae rmse"),
    ],
)
def test_what_a_task_has_not_is_refused_with_what_it_has(name: str, loss: str, allowed: str) -> None:
    classes = name != "diabetes"
    expected = [f"validation_{each}" for each in allowed.split()] + ["train_loss", *["train_accuracy"] * classes]
    for metric in get_args(Watched):
        spec = JobSpec.model_validate({"dataset": name, "loss": loss, "early_stopping": {"metric": metric}})
        if metric in expected:
            resolved = resolve(spec, builtin_dataset(name)).spec.early_stopping
            assert resolved is not None
            assert resolved.metric == metric
            continue
        with pytest.raises(InvalidSpec) as refused:
            resolve(spec, builtin_dataset(name))
        (error,) = refused.value.errors
        assert (error.pointer, error.value, error.allowed) == ("/early_stopping/metric", metric, expected)


@pytest.mark.parametrize(("folds", "taken"), [(None, False), (3, True)])
def test_a_validation_metric_needs_a_validation_part_or_folds(folds: int | None, taken: bool) -> None:
    data: dict[str, Any] = {"validation_fraction": 0.0} if folds is None else {"folds": folds}
    spec = JobSpec.model_validate({"dataset": "iris", "data": data, "early_stopping": {"metric": "validation_f1"}})
    if taken:
        assert resolve(spec, builtin_dataset("iris")).validation_rows == 0
        return
    with pytest.raises(InvalidSpec, match="validation part"):
        resolve(spec, builtin_dataset("iris"))


def test_several_labels_have_their_own() -> None:
    columns = {"x": range(30), "p": [row % 2 for row in range(30)], "q": [row % 3 == 0 for row in range(30)]}
    spec = {"dataset": "d", "data": {"target": ["p", "q"]}, "early_stopping": {"metric": "train_accuracy"}}
    with pytest.raises(InvalidSpec, match="not known before the end") as refused:
        resolve(JobSpec.model_validate(spec), table_dataset(columns, target="p"))
    assert refused.value.errors[0].allowed == [
        "validation_loss", "validation_accuracy", "validation_f1", "validation_auc", "train_loss"
    ]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES["multiclass"])
def test_log_loss_is_of_probabilities_alone(loss: str) -> None:
    assert ("validation_log_loss" in watchable("multiclass", loss, validated=True)) == KINDS[loss].probabilities


def test_a_plateau_of_folds_goes_by_what_the_last_training_has_too() -> None:
    spec: dict[str, Any] = {"dataset": "iris", "data": {"folds": 3}}
    schedule = {"name": "reduce_on_plateau", "metric": "validation_loss"}
    with pytest.raises(InvalidSpec):
        resolve(JobSpec.model_validate({**spec, "optimizer": {"schedule": schedule}}), builtin_dataset("iris"))
    auto = JobSpec.model_validate({**spec, "optimizer": {"schedule": "reduce_on_plateau"}})
    found: Any = resolve(auto, builtin_dataset("iris")).spec.optimizer.schedule
    assert found["metric"] == "train_loss"
