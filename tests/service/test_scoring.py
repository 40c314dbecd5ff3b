"""What outputs are taken for: thresholds, what is not finite, what is too large to be answered."""

from __future__ import annotations

import numpy as np
import pytest

from service.scoring import MOST_CLASSES, answered, scorer_for
from service.targets import Target, TargetColumn
from workers.datafiles import PartData
from workers.mlp.architecture import Architecture, LayerShape

TWO = Target("binary", 1, (TargetColumn("y", "text", ("no", "yes")),))
VALUES = Target("regression", 1, (TargetColumn("y", "float", shift=5.0, scale=10.0),))


def rows(*truth: float) -> PartData:
    return PartData(np.zeros((len(truth), 1)), np.array(truth)[:, np.newaxis], None)


def column(*outputs: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(outputs, np.float32)[:, np.newaxis]


def network(loss: str, activation: str) -> Architecture:
    return Architecture(1, (LayerShape(1, activation),), loss)


@pytest.mark.parametrize(
    ("loss", "activation", "accuracy"), [("hinge", "identity", 1.0), ("log_loss", "sigmoid", 0.75)]
)
def test_a_single_output_decides_at_its_loss_s_threshold(loss: str, activation: str, accuracy: float) -> None:
    scorer = scorer_for(TWO, network(loss, activation), rows(0, 0, 1, 1))
    found = scorer.score(column(0.0, -0.1, 0.1, 0.9))
    assert found["accuracy"] == accuracy
    assert found["auc"] == 1.0
    assert ("log_loss" in found) == (loss == "log_loss")


def test_errors_are_in_the_target_s_own_units() -> None:
    found = scorer_for(VALUES, network("squared_error", "identity"), rows(0, 1)).score(column(0.5, 1.5))
    assert found == {"r2": 0.0, "mae": 5.0, "rmse": 5.0}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_not_finite_have_no_metric(bad: float) -> None:
    of_values = scorer_for(VALUES, network("squared_error", "identity"), rows(0, 1))
    assert of_values.score(column(bad, 1)) == {"r2": None, "mae": None, "rmse": None}
    of_classes = scorer_for(TWO, network("log_loss", "sigmoid"), rows(0, 1)).score(column(bad, 1))
    assert list(of_classes) == ["accuracy", "balanced_accuracy", "f1", "auc", "log_loss"]
    assert set(of_classes.values()) == {None}


def test_what_overflows_has_no_value() -> None:
    target = Target("regression", 1, (TargetColumn("y", "float", scale=1e300),))
    found = scorer_for(target, network("squared_error", "identity"), rows(0, 1)).score(column(1e30, 1))
    assert (found["mae"], found["rmse"]) == (None, None)
    assert found["r2"] is not None


@pytest.mark.parametrize(("classes", "shown"), [(MOST_CLASSES, True), (MOST_CLASSES + 1, False)])
def test_a_confusion_matrix_of_too_many_classes_is_left_out(classes: int, shown: bool) -> None:
    matrix = [[0.0] * classes] * classes
    assert (answered(matrix, range(classes)) is not None) == shown
    assert answered(None, ()) is None
