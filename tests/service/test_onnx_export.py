"""ONNX Runtime, given raw columns, answers as `/predict` does: every activation, task, kind of column, normalisation."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from service.datasets import Task, label_text
from service.errors import TooLarge
from service.features import Numeric, OneHot
from service.models import Model
from service.onnx_export import export, export_model
from service.onnx_export.inputs import level_type, no_level
from service.targets import Target, TargetColumn
from service.transform import Transform
from tests.service.made_models import COLOUR, NUMBERS, VALUE, made_model
from workers.mlp.activations import ACTIVATIONS
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.losses import PAIRS

Precision = Literal["float32", "float64"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float64")
TOLERANCE = 1e-5
CLASSES = {"text": ("a", "b", "ç"), "integer": (-1, 0, 2**53 + 1), "float": (0.5, 1.0, 2.0), "boolean": (False, True)}


def classes(kind: Any, units: int) -> Target:
    task: Task = "binary" if units < 3 else "multiclass"
    return Target(task, units, (TargetColumn("y", kind, CLASSES[kind][: max(units, 2)]),))


def columns(transform: Transform, rows: list[list[Any]]) -> dict[str, NDArray[Any]]:
    """The rows as ONNX takes them: each column by its name, (rows, 1)."""
    found = {}
    for feature, values in zip(transform.features, zip(*rows, strict=True), strict=True):
        kind = np.dtype(float) if isinstance(feature, Numeric) else level_type(feature)
        nothing = no_level(feature) if isinstance(feature, OneHot) and kind.kind == "U" else np.nan
        given = [nothing if value is None else value for value in values]
        found[feature.name] = np.array(given, object if kind.kind == "U" else kind).reshape(-1, 1)
    return found


def made_rows(transform: Transform, count: int = 40) -> list[list[Any]]:
    generator = np.random.default_rng(3)
    made = [
        generator.normal(feature.shift, 2 * feature.scale, count).tolist()
        if isinstance(feature, Numeric)
        else [feature.levels[number] for number in generator.integers(len(feature.levels), size=count)]
        for feature in transform.features
    ]
    return [list(row) for row in zip(*made, strict=True)]


def run(model: Model, rows: list[list[Any]]) -> dict[str, Any]:
    """What ONNX Runtime makes of the exported file, which the checker takes for sound."""
    content = export_model(model)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == [feature.name for feature in model.transform.features]
    assert {one.shape[0] for one in (*session.get_inputs(), *session.get_outputs())} == {"rows"}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, columns(model.transform, rows)), strict=True))


def agrees(model: Model, rows: list[list[Any]] | None = None) -> None:
    """Hold ONNX Runtime against `predict`, row by row."""
    rows = made_rows(model.transform) if rows is None else rows
    found, expected = run(model, rows), model.predict(rows)
    if model.transform.target.task == "regression":
        values = [prediction["value"] for prediction in expected]
        assert np.allclose(found["value"], values, rtol=TOLERANCE, atol=TOLERANCE)
        return
    texts = [label_text(label) for label in model.transform.classes]
    wanted = np.array([[prediction["probabilities"][text] for text in texts] for prediction in expected])
    assert found["probabilities"].shape == wanted.shape
    assert np.allclose(found["probabilities"], wanted, rtol=0, atol=TOLERANCE)
    labels = found["label"].tolist()
    sure = np.ptp(np.sort(wanted, axis=-1)[:, -2:], axis=-1) > 2 * TOLERANCE
    assert sure.any()
    for place in np.flatnonzero(sure):
        assert (labels[place], type(labels[place])) == (expected[place]["class"], type(expected[place]["class"]))


def network(inputs: int, hidden: str, output: str, loss: str, units: int, precision: Precision) -> Architecture:
    layers = (LayerShape(7, hidden), LayerShape(5, hidden), LayerShape(units, output))
    return Architecture(inputs, layers, loss, precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("hidden", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_every_hidden_activation(hidden: str, precision: Precision) -> None:
    transform = Transform((*NUMBERS, COLOUR), VALUE, precision)
    agrees(made_model(network(5, hidden, "identity", "squared_error", 1, precision), transform))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("loss", "output"), sorted(PAIRS))
@pytest.mark.parametrize("units", [1, 2, 3])
def test_every_loss_and_output(loss: str, output: str, units: int, precision: Precision) -> None:
    if units == 1 and (loss == "cross_entropy" or output == "softmax"):
        units = 4
    transform = Transform(NUMBERS, classes("text", units) if units < 4 else eleven("text"), precision)
    units = transform.target.outputs
    agrees(made_model(network(2, "tanh", output, loss, units, precision), transform))


def eleven(kind: Any) -> Target:
    column = TargetColumn("y", kind, tuple(f"class {number}" for number in range(11)))
    return Target("multiclass", 11, (column,))


@pytest.mark.parametrize("kind", CLASSES)
def test_a_label_is_answered_in_its_own_type(kind: Any) -> None:
    units = min(len(CLASSES[kind]), 3)
    target = classes(kind, units if units == 3 else 1)
    output, loss = ("softmax", "cross_entropy") if units == 3 else ("sigmoid", "log_loss")
    transform = Transform(NUMBERS, target, "float32")
    agrees(made_model(network(2, "tanh", output, loss, target.outputs, "float32"), transform))


@pytest.mark.parametrize("kind", CLASSES)
def test_levels_of_every_type(kind: Any) -> None:
    transform = Transform((OneHot("level", kind, CLASSES[kind]), NUMBERS[0], COLOUR), VALUE, "float32")
    agrees(made_model(network(transform.inputs, "tanh", "identity", "squared_error", 1, "float32"), transform))


MISSING: dict[str, tuple[Numeric | OneHot, list[Any]]] = {
    "mean": (Numeric("x", 1.0, 2.0, fill=1.25), [None, 0.5, float("nan")]),
    "indicated": (Numeric("x", 1.0, 2.0, fill=1.25, indicator=True), [None, 0.5, float("nan")]),
    "unseen text": (OneHot("x", "text", ("a", "b")), ["a", "c", "", "b"]),
    "text": (OneHot("x", "text", ("a", "b"), fill=1), [None, "a", "c", "b"]),
    "text, indicated": (OneHot("x", "text", ("a", "b"), fill=2, indicator=True), [None, "a", "c", "b"]),
    "empty text": (OneHot("x", "text", ("", "b"), fill=2, indicator=True), [None, "", "c", "b"]),
    "unseen integer": (OneHot("x", "integer", (1, 2)), [1, 3, 2]),
    "integer": (OneHot("x", "integer", (1, 2), fill=0), [None, 1, 3, 2]),
    "boolean": (OneHot("x", "boolean", (False, True), fill=2, indicator=True), [None, False, True]),
    "float": (OneHot("x", "float", (0.5, 2.5), fill=2, indicator=True), [None, 0.5, 1.0, 2.5]),
}


@pytest.mark.parametrize("case", MISSING)
def test_values_that_are_missing_or_were_never_seen(case: str) -> None:
    feature, values = MISSING[case]
    transform = Transform((NUMBERS[0], feature, COLOUR), VALUE, "float64")
    model = made_model(network(transform.inputs, "tanh", "identity", "squared_error", 1, "float64"), transform)
    rows = [[0.5, value, "red"] for value in values]
    agrees(model, rows)
    answers = {json.dumps(prediction) for prediction in model.predict(rows)}
    assert len(answers) == len({str(row) for row in transform.apply(rows)}) > 1


def test_several_targets_each_in_its_own_units() -> None:
    places = ((0.0, 1.0), (1e6, 3e4), (-5.0, 0.01))
    targets = tuple(TargetColumn(f"y{shift}", "float", shift=shift, scale=scale) for shift, scale in places)
    transform = Transform(NUMBERS, Target("regression", 3, targets), "float32")
    model, rows = (
        made_model(network(2, "tanh", "identity", "squared_error", 3, "float32"), transform),
        made_rows(transform),
    )
    expected = np.array([list(prediction["values"].values()) for prediction in model.predict(rows)])
    assert np.allclose(run(model, rows)["values"], expected, rtol=TOLERANCE, atol=0)


@pytest.mark.parametrize("kinds", [("text", "text"), ("integer", "integer"), ("boolean", "text", "float")])
def test_several_labels(kinds: Any) -> None:
    targets = tuple(TargetColumn(f"y{place}", kind, CLASSES[kind][:2]) for place, kind in enumerate(kinds))
    transform = Transform(NUMBERS, Target("multilabel", len(kinds), targets), "float32")
    model = made_model(network(2, "tanh", "sigmoid", "log_loss", len(kinds), "float32"), transform)
    rows = made_rows(transform)
    found, expected = run(model, rows), model.predict(rows)
    cells = [list(prediction["labels"].values()) for prediction in expected]
    probable = np.array([[cell["probability"] for cell in row] for row in cells])
    assert np.allclose(found["probabilities"], probable, rtol=0, atol=TOLERANCE)
    one_kind = len(set(kinds)) == 1
    wanted = [[cell["value"] if one_kind else label_text(cell["value"]) for cell in row] for row in cells]
    assert found["labels"].tolist() == wanted
    assert len({str(row) for row in wanted}) > 1


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("bias", [True, False])
def test_every_normalisation_and_no_dropout(normalization: Any, bias: bool, precision: Precision) -> None:
    hidden = LayerShape(6, "tanh", normalization, dropout=0.4)
    shape = Architecture(2, (hidden, hidden, LayerShape(1, "identity")), "squared_error", bias, precision, 0.2)
    agrees(made_model(shape, Transform(NUMBERS, VALUE, precision)))


def test_seconds_since_1970_are_told_apart_to_the_second() -> None:
    time = Numeric("time", 1_764_000_000.0, 30.0)
    target = Target("regression", 1, (TargetColumn("y", "float", shift=1_764_000_000.0, scale=1000.0),))
    model = made_model(
        network(1, "tanh", "identity", "squared_error", 1, "float32"), Transform((time,), target, "float32")
    )
    rows = [[1_764_000_000 + second] for second in range(60)]
    found = run(model, rows)["value"]
    expected = [prediction["value"] for prediction in model.predict(rows)]
    assert found.dtype == np.float64
    assert len(set(found.tolist())) == 60
    assert np.abs(found - expected).max() <= TOLERANCE * 1000.0


def test_a_column_may_have_the_name_of_an_output_or_of_anything_else() -> None:
    names = ("value", "value_", "deltaq/W1", "Größe in m²", "W1")
    features = tuple(Numeric(name, 0.0, 1.0) for name in names)
    model = made_model(
        network(5, "tanh", "identity", "squared_error", 1, "float32"), Transform(features, VALUE, "float32")
    )
    rows = made_rows(model.transform)
    expected = [prediction["value"] for prediction in model.predict(rows)]
    assert np.allclose(run(model, rows)["value__"], expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_the_file_carries_the_card() -> None:
    model = made_model(
        network(2, "tanh", "identity", "squared_error", 1, "float32"), Transform(NUMBERS, VALUE, "float32")
    )
    loaded = onnx.load_from_string(export_model(model))
    carried = {one.key: one.value for one in loaded.metadata_props}
    assert json.loads(carried[export.CARD]) == json.loads(json.dumps(model.card))
    assert (loaded.producer_name, loaded.opset_import[0].version, loaded.ir_version) == ("deltaq", 19, 9)


def test_weights_that_no_onnx_file_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_BYTES", 100)
    model = made_model(
        network(2, "tanh", "identity", "squared_error", 1, "float32"), Transform(NUMBERS, VALUE, "float32")
    )
    with pytest.raises(TooLarge, match="allowed are 100; take safetensors"):
        export_model(model)
