"""A model on labelled rows: the job's own figures on the same rows, and scikit-learn's on what the model predicts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as theirs
from numpy.typing import NDArray

from service.datasets import Dataset
from service.model_evaluation import ModelEvaluations
from service.models import Model
from service.store import Store
from tests.service.test_data_attempts import Service

ROWS = 300  # more than one block of evaluation


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Service:
    return Service(store, tmp_path)


@pytest.fixture
def evaluations(service: Service) -> ModelEvaluations:
    return ModelEvaluations(service.room.models, service.data.records, service.data.artifacts)


def table(seed: int) -> dict[str, Any]:
    """Rows that can be learned in part, with answers of every kind and weights, some of them 0."""
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(2, ROWS))
    noisy = a + b + generator.normal(size=ROWS)
    return {
        "a": a,
        "b": b,
        "w": generator.integers(0, 4, ROWS).astype(float),
        "word": np.array(["no", "so so", "yes"])[np.digitize(noisy, [-1, 1])],
        "flag": noisy > 0.3,
        "wet": np.where(a + generator.normal(size=ROWS) > 0, "wet", "dry"),
        "money": 1e4 * noisy - 5e4,
        "small": 0.01 * b + 0.001 * generator.normal(size=ROWS),
        "count": generator.poisson(np.exp(0.3 * a + 1)),
    }


CASES: dict[str, dict[str, Any]] = {
    "three words": {"data": {"target": "word"}},
    "three words with weights": {"data": {"target": "word", "sample_weight": "w"}},
    "three words in scores": {"data": {"target": "word"}, "loss": "hinge"},
    "three words one by one": {"data": {"target": "word"}, "loss": "log_loss"},
    "true and false": {"data": {"target": "flag", "sample_weight": "w"}},
    "true and false of two": {"data": {"target": "flag"}, "loss": "cross_entropy"},
    "true and false in scores": {"data": {"target": "flag"}, "loss": "squared_hinge"},
    "labels": {"data": {"target": ["flag", "wet"], "sample_weight": "w"}},
    "money": {"data": {"target": "money"}},
    "values with weights": {"data": {"target": ["money", "small"], "sample_weight": "w"}},
    "counts": {"data": {"target": "count", "task": "regression"}, "loss": "poisson"},
}


def spec_of(case: str) -> dict[str, Any]:
    given = CASES[case]
    data = {"features": ["a", "b"], "validation_dataset": "new", **given["data"]}
    return {**given, "data": data, "epochs": 3, "optimizer": {"learning_rate": 0.05}}


def read(prediction: Mapping[str, Any]) -> list[Any]:
    """A prediction's classes or values, target by target."""
    if "labels" in prediction:
        return [each["value"] for each in prediction["labels"].values()]
    return (
        list(prediction["values"].values())
        if "values" in prediction
        else [prediction.get("class", prediction.get("value"))]
    )


def scores(prediction: Mapping[str, Any]) -> list[float]:
    """The scores of all classes, or of all labels."""
    if "labels" in prediction:
        return [each["probability"] for each in prediction["labels"].values()]
    return list((prediction.get("probabilities") or prediction["scores"]).values())


def expected(model: Model, columns: Mapping[str, Any], weights: NDArray[np.float64] | None) -> dict[str, float]:
    """scikit-learn's metrics of what the model predicts."""
    target = model.transform.target
    predictions = model.predict(np.array([columns["a"], columns["b"]]).T.tolist())
    truth = np.array([columns[name] for name in target.names]).T
    chosen = np.array([read(each) for each in predictions])
    weighing = {"sample_weight": weights}
    if target.task == "regression":
        return {
            "r2": theirs.r2_score(truth, chosen, **weighing),
            "mae": theirs.mean_absolute_error(truth, chosen, **weighing),
            "rmse": theirs.root_mean_squared_error(truth, chosen, **weighing),
        }
    scored = np.array([scores(each) for each in predictions])
    if target.task == "multilabel":
        second = np.array([column.classes[1] for column in target.columns], truth.dtype)
        truth, chosen = truth == second, chosen == second
        return {
            "accuracy": theirs.accuracy_score(truth, chosen, **weighing),
            "f1": theirs.f1_score(truth, chosen, average="macro", **weighing),
            "auc": theirs.roc_auc_score(truth, scored, **weighing),
        }
    truth, chosen = truth[:, 0], chosen[:, 0]
    last = target.classes[-1]
    f1 = {"average": "macro"} if len(target.classes) > 2 else {"pos_label": last}
    each = target.classes if len(target.classes) > 2 else [last]
    areas = [theirs.roc_auc_score(truth == label, scored[:, target.classes.index(label)], **weighing) for label in each]
    found = {
        "accuracy": theirs.accuracy_score(truth, chosen, **weighing),
        "balanced_accuracy": theirs.balanced_accuracy_score(truth, chosen, **weighing),
        "f1": theirs.f1_score(truth, chosen, **f1, **weighing),
        "auc": float(np.mean(areas)),
    }
    if "probabilities" in predictions[0]:
        found["log_loss"] = theirs.log_loss(truth, y_proba=scored, labels=list(target.classes), **weighing)
    return found


def trained(service: Service, case: str) -> tuple[Model, dict[str, Any], Dataset, Dataset]:
    old, new = (service.data.add_table(table(seed), name, target="count") for seed, name in ((1, "old"), (2, "new")))
    model, result = service.run(old, **spec_of(case))
    return model, result, old, new


@pytest.mark.parametrize("case", CASES)
def test_figures_are_the_job_s_and_scikit_learn_s(service: Service, evaluations: ModelEvaluations, case: str) -> None:
    model, result, old, new = trained(service, case)
    tenant, weighed = service.data.tenant, "sample_weight" in CASES[case]["data"]
    found = evaluations.evaluate(tenant, model.document["id"], "new")
    assert found["dataset_id"] == new.id
    assert found["loss"] == result["validation_loss"]
    assert found["metrics"] == {
        name.removeprefix("validation_"): value
        for name, value in result.items()
        if name.startswith("validation_") and name != "validation_loss"
    }
    columns = table(2)
    by_them = expected(model, columns, columns["w"] if weighed else None)
    assert found["metrics"] == {name: pytest.approx(value, rel=1e-5, abs=1e-6) for name, value in by_them.items()}
    confusion = None if found["confusion_matrix"] is None else {"part": "validation", **found["confusion_matrix"]}
    assert confusion == result["confusion_matrix"]
    on_old = evaluations.evaluate(tenant, model.document["id"], old.id)
    for name, value in on_old["metrics"].items():
        if f"train_{name}" != "train_accuracy" or model.transform.target.task == "multilabel":
            assert result[f"train_{name}"] == value
    assert model.document["metrics"] == {
        name: value for name, value in result.items() if name.startswith(("train_", "validation_"))
    }


@pytest.mark.parametrize("metric", ["validation_f1", "validation_log_loss"])
def test_the_result_holds_the_metrics_of_the_weights_kept(
    service: Service, evaluations: ModelEvaluations, metric: str
) -> None:
    old, _ = (service.data.add_table(table(seed), name, target="count") for seed, name in ((1, "old"), (2, "new")))
    stopping = {"early_stopping": {"metric": metric, "patience": 8}, "epochs": 200}
    model, result = service.run(old, **spec_of("three words") | stopping)
    assert result["stopped_by"] == "early_stopping"
    assert result["epochs"] == result["best_epoch"] + 8
    job_rows = service.room.rooms.jobs.metrics(service.data.tenant, model.document["job_id"], limit=500).items
    best = job_rows[result["best_epoch"] - 1]
    assert {name: result[name] for name in best if name in result and name != "epoch"} == {
        name: value for name, value in best.items() if name in result and name != "epoch"
    }
    found = evaluations.evaluate(service.data.tenant, model.document["id"], "new")
    for name, value in found["metrics"].items():
        assert result[f"validation_{name}"] == value
    on_old = evaluations.evaluate(service.data.tenant, model.document["id"], old.id)
    assert result["train_f1"] == on_old["metrics"]["f1"]


def test_without_the_column_of_weights_each_row_weighs_1(service: Service, evaluations: ModelEvaluations) -> None:
    model, _, _, _ = trained(service, "true and false")
    columns = table(2)
    plain = service.data.add_table({name: columns[name] for name in ("a", "b", "flag")}, "plain", target="flag")
    found = evaluations.evaluate(service.data.tenant, model.document["id"], plain.id)
    assert found["metrics"] == pytest.approx(expected(model, columns, None), rel=1e-5)
    (warning,) = found["warnings"]
    assert "'w'" in warning
    assert sum(map(sum, found["confusion_matrix"]["matrix"])) == ROWS


def test_a_class_that_has_no_row_leaves_what_needs_it_out(service: Service, evaluations: ModelEvaluations) -> None:
    model, _, _, _ = trained(service, "true and false of two")
    columns = {"a": [0.5, -0.5], "b": [1.0, 2.0], "flag": [True, True], "y": [1.5, 2.5]}
    service.data.add_table(columns, "one class", target="y")
    found = evaluations.evaluate(service.data.tenant, model.document["id"], "one class")
    assert found["metrics"]["auc"] is None
    assert found["metrics"]["accuracy"] is not None


def test_one_row_has_no_r2(service: Service, evaluations: ModelEvaluations) -> None:
    model, _, _, _ = trained(service, "money")
    service.data.add_table({"a": [0.5], "b": [1.0], "money": [1.5]}, "one row", target="money")
    found = evaluations.evaluate(service.data.tenant, model.document["id"], "one row")
    assert found["metrics"]["r2"] is None
    assert found["metrics"]["mae"] == found["metrics"]["rmse"] > 0


def test_the_api_does_not_import_arrow_until_it_is_asked() -> None:
    line = "import sys, api.app; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line]).returncode == 0
