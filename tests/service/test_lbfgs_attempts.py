"""Whole jobs with L-BFGS, from what was submitted to a model that predicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.builtin import install_builtins
from service.store import Store
from tests.service.test_data_attempts import Service

LBFGS = {"name": "lbfgs", "l2": 1e-2}


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Service:
    made = Service(store, tmp_path)
    install_builtins(made.data.records, made.data.artifacts)
    return made


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_job_ends_before_its_last_epoch_and_says_why(service: Service, precision: str) -> None:
    spec = {"network": {"hidden": [], "precision": precision}, "optimizer": LBFGS, "batch_size": "full", "epochs": 500}
    model, result = service.run("wine", **spec)
    assert result["stopped_by"] == "converged"
    assert result["validation_accuracy"] >= 0.9
    (prediction,) = model.predict([[0.5] * model.transform.inputs])
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)


def test_a_job_that_is_not_there_yet_ends_with_its_epochs(service: Service) -> None:
    _, result = service.run("diabetes", network={"hidden": [8]}, optimizer=LBFGS, batch_size="full", epochs=4)
    assert result["stopped_by"] == "epochs"
    assert result["validation_r2"] > 0.25


def test_folds_may_converge_each_at_its_own_time(service: Service) -> None:
    fields = {"network": {"hidden": []}, "optimizer": LBFGS, "batch_size": "full", "epochs": 500}
    _, result = service.run("iris", **fields, data={"folds": 3, "validation_fraction": 0.0})
    assert len(result["folds"]) == 3
    assert all(fold["epochs"] < 500 for fold in result["folds"])
