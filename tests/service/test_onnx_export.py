"""ONNX Runtime, given raw columns, answers as `/predict` does: every activation, task, kind of column and layer."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Literal

import numpy as np
import onnx
import pytest

from service.datasets import Label, Task
from service.errors import TooLarge
from service.features import Numeric, OneHot
from service.models import Model
from service.onnx_export import export, export_model
from service.targets import Target, TargetColumn
from service.transform import Transform
from tests.service.in_onnx_runtime import TOLERANCE, agreed
from tests.service.made_models import COLOUR, NUMBERS, VALUE, made_model, made_parameters
from tests.workers.mlp.making import EVERY_PAIR
from workers.mlp.activations import ACTIVATIONS
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.choices import Choice
from workers.mlp.losses import LOSSES, minimum_outputs

Precision = Literal["float32", "float64"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float64")
CLASSES: dict[str, tuple[Label, ...]] = {
    "text": ("a", "b", "ç"),
    "integer": (-1, 0, 2**53 + 1),
    "float": (0.5, 1.0, 2.0),
    "boolean": (False, True),
}
SERVED = [
    (loss, output, task)
    for loss, output in EVERY_PAIR
    for task in sorted(LOSSES[loss].outputs)
    if (output, task) != ("softmax", "multilabel")  # labels do not exclude each other
]
HIDDEN = sorted(name for name, kind in ACTIVATIONS.items() if kind.hidden)


def of_classes(kind: Any, units: int) -> Target:
    """Of the kind's classes the first two, or as many as there are units."""
    task: Task = "binary" if units < 3 else "multiclass"
    return Target(task, units, (TargetColumn("y", kind, CLASSES[kind][: max(units, 2)]),))


def several(task: Task, *kinds: Any) -> Target:
    """A target of several columns, values or labels."""
    classes: list[tuple[Label, ...]] = [() if task == "regression" else CLASSES[kind][:2] for kind in kinds]
    columns = [TargetColumn(f"y{place}", kind, classes[place]) for place, kind in enumerate(kinds)]
    return Target(task, len(kinds), tuple(columns))


def network(
    inputs: int,
    units: int = 1,
    *,
    hidden: Choice = "tanh",
    output: Choice = "identity",
    loss: Choice = "squared_error",
    precision: Precision = "float32",
) -> Architecture:
    layers = (LayerShape(7, hidden), LayerShape(5, hidden), LayerShape(units, output))
    return Architecture(inputs, layers, loss, precision=precision)


def of_columns(*features: Numeric | OneHot, precision: Precision = "float32", target: Target = VALUE) -> Model:
    transform = Transform(features, target, precision)
    return made_model(network(transform.inputs, precision=precision), transform)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_hidden_activation(hidden: str, precision: Precision) -> None:
    transform = Transform((*NUMBERS, COLOUR), VALUE, precision)
    shape = network(5, hidden=hidden, precision=precision)
    parameters = made_parameters(shape)
    parameters.flat *= 0.25  # e to the power of e to the power of what is large overflows
    agreed(made_model(shape, transform, parameters))


@pytest.mark.parametrize("option", [("leaky_relu", "slope", 0.3), ("elu", "alpha", 2.5)])
def test_an_activation_takes_its_options_along(option: tuple[str, str, float]) -> None:
    name, field, value = option
    chosen, plain = (
        made_model(network(2, hidden=hidden), Transform(NUMBERS, VALUE, "float32"))
        for hidden in ({"name": name, field: value}, name)
    )
    assert not np.allclose(agreed(chosen)["value"], agreed(plain)["value"])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("loss", "output", "task"), SERVED)
def test_every_loss_on_every_output_in_every_task(loss: str, output: str, task: Task, precision: Precision) -> None:
    least = minimum_outputs(loss, output)
    targets = {
        "regression": VALUE if least == 1 else several("regression", "float", "float"),
        "binary": of_classes("text", least),
        "multiclass": of_classes("text", 3),
        "multilabel": several("multilabel", "text", "integer"),
    }
    target = targets[task]
    shape = network(2, target.outputs, output=output, loss=loss, precision=precision)
    agreed(made_model(shape, Transform(NUMBERS, target, precision)))


@pytest.mark.parametrize("kind", CLASSES)
def test_a_label_is_answered_in_its_own_type(kind: Any) -> None:
    one, many = of_classes(kind, 1), of_classes(kind, len(CLASSES[kind]))
    shapes = (
        network(2, output="sigmoid", loss="log_loss"),
        network(2, many.outputs, output="softmax", loss="cross_entropy"),
    )
    for shape, target in zip(shapes, (one, many), strict=True):
        found = agreed(made_model(shape, Transform(NUMBERS, target, "float32")))
        assert len(set(found["label"].tolist())) > 1


@pytest.mark.parametrize("kind", CLASSES)
def test_levels_of_every_type(kind: Any) -> None:
    agreed(of_columns(OneHot("level", kind, CLASSES[kind]), NUMBERS[0], COLOUR))


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
    model = of_columns(NUMBERS[0], feature, COLOUR, precision="float64")
    rows = [[0.5, value, "red"] for value in values]
    found = agreed(model, rows)["value"]
    inputs = {tuple(row) for row in model.transform.apply(rows).tolist()}
    assert len(set(found.round(9).tolist())) == len(inputs) > 1


@pytest.mark.parametrize("kinds", [("text", "text"), ("integer", "integer"), ("boolean", "text", "float")])
def test_several_labels_are_of_their_type_or_else_text(kinds: Any) -> None:
    target = several("multilabel", *kinds)
    shape = network(2, len(kinds), output="sigmoid", loss="log_loss")
    found = agreed(made_model(shape, Transform(NUMBERS, target, "float32")))
    assert len(set(map(str, found["labels"].tolist()))) > 1


def test_several_values_are_each_in_their_own_units() -> None:
    places = ((0.0, 1.0), (1e6, 3e4), (-5.0, 0.01))
    columns = tuple(TargetColumn(f"y{shift}", "float", shift=shift, scale=scale) for shift, scale in places)
    agreed(made_model(network(2, 3), Transform(NUMBERS, Target("regression", 3, columns), "float32")))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("bias", [True, False])
def test_every_normalisation_and_no_dropout(normalization: Any, bias: bool, precision: Precision) -> None:
    hidden = LayerShape(6, "tanh", normalization, dropout=0.4)
    shape = Architecture(2, (hidden, hidden, LayerShape(1, "identity")), "squared_error", bias, precision, 0.2)
    agreed(made_model(shape, Transform(NUMBERS, VALUE, precision)))


def test_seconds_since_1970_are_told_apart_to_the_second() -> None:
    now = 1_764_000_000.0
    target = Target("regression", 1, (TargetColumn("y", "float", shift=now, scale=1000.0),))
    model = of_columns(Numeric("time", now, 30.0), target=target)
    rows = [[now + second] for second in range(60)]
    found = agreed(model, rows)["value"]
    expected = np.array([prediction["value"] for prediction in model.predict(rows)])
    assert len(set(found.tolist())) == 60
    assert np.abs(found - expected).max() <= TOLERANCE * 1000.0


def test_a_column_may_have_the_name_of_an_output_or_of_anything_else() -> None:
    model = of_columns(*(Numeric(name, 0.0, 1.0) for name in ("deltaq/W1", "deltaq/", "Größe in m²", "W1", "rows")))
    agreed(model)
    names = export.output_names(["value", "value_", "label"])
    assert (names["value"], names["label"], names["values"]) == ("value__", "label_", "values")


def test_the_file_carries_the_card() -> None:
    model = of_columns(*NUMBERS)
    loaded = onnx.load_from_string(export_model(model))
    carried = {one.key: one.value for one in loaded.metadata_props}
    assert json.loads(carried[export.CARD]) == json.loads(json.dumps(model.card))
    assert (loaded.producer_name, loaded.opset_import[0].version, loaded.ir_version) == ("deltaq", 19, 9)


def test_weights_that_no_onnx_file_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_BYTES", 100)
    with pytest.raises(TooLarge, match="allowed are 100; take safetensors"):
        export_model(of_columns(*NUMBERS))


def test_the_api_does_not_import_onnx_until_it_is_asked() -> None:
    line = "import sys, api.app, service.models; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line]).returncode == 0
