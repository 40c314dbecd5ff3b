"""A model's ONNX file run by ONNX Runtime on raw rows, and held against what the model itself predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from service.datasets import label_text
from service.features import Numeric, OneHot
from service.models import Model
from service.onnx_export import export_model
from service.onnx_export.inputs import level_type, no_level
from service.transform import Transform

TOLERANCE = 1e-5

Rows = list[list[Any]]


def columns(transform: Transform, rows: Rows) -> dict[str, NDArray[Any]]:
    """The rows as ONNX takes them: each column by its name, (rows, 1), what is missing as the docs have it."""
    found = {}
    for feature, values in zip(transform.features, zip(*rows, strict=True), strict=True):
        kind = np.dtype(float) if isinstance(feature, Numeric) else level_type(feature)
        nothing = no_level(feature) if isinstance(feature, OneHot) and kind.kind == "U" else np.nan
        given = [nothing if value is None else value for value in values]
        found[feature.name] = np.array(given, object if kind.kind == "U" else kind).reshape(-1, 1)
    return found


def made_rows(transform: Transform, count: int = 40) -> Rows:
    """Rows that the transform takes, none of them missing anything."""
    generator = np.random.default_rng(3)
    made = [
        generator.normal(feature.shift, 2 * feature.scale, count).tolist()
        if isinstance(feature, Numeric)
        else [feature.levels[number] for number in generator.integers(len(feature.levels), size=count)]
        for feature in transform.features
    ]
    return [list(row) for row in zip(*made, strict=True)]


def run(content: bytes, given: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What ONNX Runtime makes of columns by a file that the checker takes for sound."""
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(given)
    assert {one.shape[0] for one in (*session.get_inputs(), *session.get_outputs())} == {"rows"}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def agreed(model: Model, rows: Rows | None = None) -> dict[str, NDArray[Any]]:
    """What ONNX Runtime answers, after it has been held against `predict`."""
    rows = made_rows(model.transform) if rows is None else rows
    found, expected = run(export_model(model), columns(model.transform, rows)), model.predict(rows)
    target = model.transform.target
    if target.task == "regression":
        _values_agree(found, expected)
    elif target.task == "multilabel":
        _labels_agree(found, expected)
    else:
        _classes_agree(found, expected, [label_text(label) for label in target.classes])
    return found


def _values_agree(found: dict[str, NDArray[Any]], expected: list[dict[str, Any]]) -> None:
    several = "values" in expected[0]
    wanted = np.array([list(one["values"].values()) if several else one["value"] for one in expected])
    assert list(found) == ["values" if several else "value"]
    (values,) = found.values()
    assert values.shape == wanted.shape
    assert np.allclose(values, wanted, rtol=TOLERANCE, atol=TOLERANCE)


def _labels_agree(found: dict[str, NDArray[Any]], expected: list[dict[str, Any]]) -> None:
    cells = [list(prediction["labels"].values()) for prediction in expected]
    probable = np.array([[cell["probability"] for cell in row] for row in cells])
    assert np.allclose(found["probabilities"], probable, rtol=0, atol=TOLERANCE)
    one_kind = len({type(cell["value"]) for cell in cells[0]}) == 1
    wanted = [[cell["value"] if one_kind else label_text(cell["value"]) for cell in row] for row in cells]
    assert found["labels"].tolist() == wanted


def _classes_agree(found: dict[str, NDArray[Any]], expected: list[dict[str, Any]], texts: list[str]) -> None:
    word = "scores" if "scores" in expected[0] else "probabilities"
    wanted = np.array([[prediction[word][text] for text in texts] for prediction in expected])
    assert list(found) == ["label", word]
    assert found[word].shape == wanted.shape
    assert np.allclose(found[word], wanted, rtol=0, atol=TOLERANCE)
    labels = found["label"].tolist()
    sure = np.ptp(np.sort(wanted, axis=-1)[:, -2:], axis=-1) > 2 * TOLERANCE
    for place in np.flatnonzero(sure):
        assert (labels[place], type(labels[place])) == (expected[place]["class"], type(expected[place]["class"]))
