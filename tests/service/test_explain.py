"""The glass box: the worked example's numbers for a model, answers of every task, and what is refused by its field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service import explain
from service.errors import BadData, InvalidRequest, TooLarge
from service.explain import explain_step
from service.features import Numeric
from service.models import Model
from service.targets import Target, TargetColumn
from service.transform import Transform
from tests.service.made_models import COLOUR, NUMBERS, VALUE, made_model
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.parameters import Parameters

CLASSES = Target("multiclass", 3, (TargetColumn("kind", "text", ("a", "b", "c")),))
LABELS = Target("multilabel", 2, (TargetColumn("x/y", "text", ("a", "b")), TargetColumn("z", "boolean", (False, True))))


def worked_example() -> Model:
    two, one = LayerShape(2, "sigmoid"), LayerShape(1, "sigmoid")
    shape = Architecture(2, (two, two, one), loss="log_loss", bias=False, precision="float64")
    parameters = Parameters(shape)
    for weights, given in zip(
        parameters.W, ([[0.1, 0.8], [0.4, 0.2]], [[0.6, 0.3], [0.4, 0.9]], [[0.9], [0.2]]), strict=True
    ):
        weights[...] = given
    features = (Numeric("x1", 0.0, 1.0), Numeric("x2", 0.0, 1.0))
    target = Target("binary", 1, (TargetColumn("y", "integer", (0, 1)),))
    return made_model(shape, Transform(features, target, "float64"), parameters)


def of(target: Target, output: str, loss: str, hidden: LayerShape | None = None) -> Model:
    layers = (hidden or LayerShape(4, "tanh"), LayerShape(target.outputs, output))
    return made_model(Architecture(5, layers, loss), Transform((*NUMBERS, COLOUR), target, "float32"))


ROW = [0.5, 1.0, "red"]


def test_the_worked_example() -> None:
    found = explain_step(worked_example(), {"x2": 0, "x1": 1}, 1, 0.5)
    assert (found["inputs"], found["target"], found["learning_rate"]) == ([1.0, 0.0], [1.0], 0.5)
    assert found["before"]["output"] == [pytest.approx(0.671792, abs=5e-7)]
    assert found["after"]["output"] == [pytest.approx(0.704316, abs=5e-7)]
    assert found["before"]["loss"] == pytest.approx(0.397807, abs=5e-7)
    assert found["after"]["loss"] == pytest.approx(0.350529, abs=5e-7)
    assert found["before"]["prediction"]["class"] == 1
    first, second, third = found["layers"]
    assert second["z"] == pytest.approx([0.590977, 0.778471], abs=5e-7)
    assert second["a"] == pytest.approx([0.643589, 0.685350], abs=5e-7)
    assert second["derivative"] == pytest.approx([0.229382, 0.215645], abs=5e-7)
    assert second["delta"] == pytest.approx([-0.067757, -0.014155], abs=5e-7)
    assert third["delta"] == pytest.approx([-0.328208], abs=5e-7)
    assert np.allclose(second["gradient"]["W"], [[-0.035571, -0.007431], [-0.046750, -0.009767]], rtol=0, atol=5e-7)
    assert second["before"] == {"W": [[0.6, 0.3], [0.4, 0.9]]}
    assert np.allclose(first["after"]["W"], [[0.105599, 0.804261], [0.4, 0.2]], rtol=0, atol=5e-7)


def test_a_level_that_was_not_there_is_told() -> None:
    model = of(VALUE, "identity", "squared_error")
    assert explain_step(model, ROW, 1.0, 0.1)["warnings"] == []
    (said,) = explain_step(model, [0.5, 1.0, "Red"], 1.0, 0.1)["warnings"]
    assert "'Red' (1 row(s)) was not in the training data" in said


def test_a_prediction_that_is_null_is_told() -> None:
    said: list[str] = []
    found = of(VALUE, "identity", "squared_error", LayerShape(4, "relu")).predict([ROW, [1e300, 1.0, "red"]], said)
    assert [one["value"] is None for one in found] == [False, True]
    assert len(said) == 1
    assert said[0].startswith("1 row(s) have no prediction (null): the network's output is not a finite number")


def test_the_model_stays_as_it_is() -> None:
    model = worked_example()
    before = model.parameters.flat.copy()
    explain_step(model, [1, 0], 1, 0.5)
    assert np.array_equal(model.parameters.flat, before)


def test_without_a_rate_it_is_the_specs() -> None:
    model = worked_example()
    assert explain_step(model, [1, 0], 1, None)["learning_rate"] == 0.1
    model.document["spec"]["optimizer"]["learning_rate"] = None
    with pytest.raises(InvalidRequest) as refused:
        explain_step(model, [1, 0], 1, None)
    assert refused.value.errors[0].pointer == "/learning_rate"


@pytest.mark.parametrize(
    ("model", "answer", "encoded"),
    [
        (of(VALUE, "identity", "squared_error"), 5, [1.0]),
        (of(CLASSES, "softmax", "cross_entropy"), "b", [0.0, 1.0, 0.0]),
        (of(LABELS, "sigmoid", "log_loss"), {"z": True, "x/y": "a"}, [0.0, 1.0]),
    ],
    ids=["value", "class", "labels"],
)
def test_the_answer_of_every_task_is_taken_and_the_step_brings_the_output_nearer(
    model: Model, answer: Any, encoded: list[float]
) -> None:
    found = explain_step(model, ROW, answer, 0.01)
    assert found["target"] == encoded
    assert found["before"]["prediction"] == model.predict([ROW])[0]
    assert found["after"]["loss"] < found["before"]["loss"]
    assert (found["layers"][-1]["derivative"] is None) == (found["layers"][-1]["activation"] == "softmax")


def test_of_a_normalised_layer_its_own_arrays_are_shown_too() -> None:
    model = of(VALUE, "identity", "squared_error", LayerShape(4, "tanh", "batch"))
    layer, output = explain_step(model, ROW, 1.0, 0.1)["layers"]
    assert set(layer["gradient"]) == {"W", "b", "gain", "shift"}
    assert set(layer["after"]) == {"W", "b", "gain", "shift", "running_mean", "running_variance"}
    assert layer["after"]["running_mean"] == layer["before"]["running_mean"]
    assert np.allclose(np.tanh(layer["normalized"]), layer["a"])
    assert not np.allclose(layer["z"], layer["normalized"])
    assert output["normalized"] is None


REFUSED: list[tuple[Target, Any, Any, str]] = [
    (VALUE, ROW, "five", "/target"),
    (VALUE, ROW, True, "/target"),
    (VALUE, ROW, None, "/target"),
    (CLASSES, ROW, "d", "/target"),
    (CLASSES, ROW, ["a"], "/target"),
    (LABELS, ROW, "a", "/target"),
    (LABELS, ROW, {"z": True}, "/target"),
    (LABELS, ROW, {"z": True, "x/y": "q"}, "/target/x~1y"),
    (LABELS, ROW, {"z": 1, "x/y": "a"}, "/target/z"),
    (VALUE, [0.5, 1.0], 5, "/row"),
    (VALUE, {"a": "x", "b": 1, "colour": "red"}, 5, "/row/a"),
    (VALUE, "row", 5, "/row"),
]


@pytest.mark.parametrize(("target", "row", "answer", "pointer"), REFUSED)
def test_what_is_refused_is_named(target: Target, row: Any, answer: Any, pointer: str) -> None:
    output, loss = ("identity", "squared_error") if target is VALUE else ("sigmoid", "log_loss")
    with pytest.raises(BadData) as refused:
        explain_step(of(target, output, loss), row, answer, 0.1)
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert refused.value.detail.startswith(pointer[1:].split("/")[0])
    assert refused.value.errors[0].allowed


def test_counts_are_refused_where_they_cannot_be() -> None:
    with pytest.raises(BadData) as refused:
        explain_step(of(VALUE, "exponential", "poisson"), ROW, -1, 0.1)
    assert refused.value.errors[0].allowed == "a number in [0, ∞)"


def test_a_network_that_nobody_could_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "MOST_PARAMETERS", 5)
    with pytest.raises(TooLarge, match="this one has 10, allowed: 5"):
        explain_step(worked_example(), [1, 0], 1, 0.5)
