"""The glass box: what one row with its answer does to a model in one step, layer by layer, in numbers for people.

`workers.mlp.shown_step` computes; this reads the row and the answer, and names what came out. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import BadData, FieldError, InvalidRequest, TooLarge, pointer_to
from service.features import SHOWN_LEVELS
from service.models import Model
from service.strict_json import in_words
from service.targets import TargetColumn
from service.transform import Row
from workers.mlp.arrays import Array
from workers.mlp.choices import name_of
from workers.mlp.intervals import Interval
from workers.mlp.parameters import Parameters
from workers.mlp.shown_step import ShownLayer, show_step

MOST_PARAMETERS = 20_000  # all of them are answered three times, for people to read


def explain_step(model: Model, row: Row, target: Any, learning_rate: float | None) -> dict[str, Any]:
    """One plain step of gradient descent on one row: before, within and after.

    `target` is a label or a value, or of several targets {column: label or value}; the rate is the spec's if None.
    Raises: BadData, InvalidRequest, TooLarge, each naming its field.
    """
    count = model.architecture.parameter_count
    if count > MOST_PARAMETERS:
        raise TooLarge(
            f"explain-step shows every number of a network; this one has {count}, allowed: {MOST_PARAMETERS}"
        )
    rate = _learning_rate(model) if learning_rate is None else learning_rate
    warnings: list[str] = []
    inputs, answer = encode_row(model, row, warnings), encode_answer(model, target)
    step = show_step(model.parameters, inputs, answer, rate)
    before, after = (model.answers(output[np.newaxis])[0] for output in (step.output, step.output_after))
    return {
        "learning_rate": rate,
        "inputs": inputs[0].tolist(),
        "target": answer[0].tolist(),
        "layers": [
            _layer(number, layer, model.parameters, step.gradient, step.updated)
            for number, layer in enumerate(step.layers, start=1)
        ],
        "before": {"loss": step.loss, "output": step.output.tolist(), "prediction": before},
        "after": {"loss": step.loss_after, "output": step.output_after.tolist(), "prediction": after},
        "warnings": warnings,
    }


def encode_row(model: Model, row: Row, warnings: list[str] | None = None) -> Array:
    """The row as the network takes it; `warnings` as `Model.predict` has them.

    Shapes: (1, inputs).
    Raises: BadData at /row.
    """
    try:
        return np.asarray(model.transform.apply([row], warnings), model.architecture.dtype)
    except BadData as bad:
        errors = [replace(error, pointer=error.pointer.replace("/rows/0", "/row", 1)) for error in bad.errors]
        raise BadData(bad.detail.replace("rows[0]", "row", 1), errors=errors) from None


def encode_answer(model: Model, answer: Any) -> NDArray[np.floating]:
    """The answer as the loss takes it. Shapes: (1, outputs). Raises: BadData at /target."""
    target = model.transform.target
    if len(target.columns) == 1:
        given = {"/target": answer}
    elif isinstance(answer, Mapping) and sorted(answer) == sorted(target.names):
        given = {pointer_to("target", name): answer[name] for name in target.names}
    else:
        names = ", ".join(target.names)
        raise _refused("/target", answer, "it does not have each target once", f"an object of the columns {names}")
    numbers: list[float]
    if target.holds_classes:
        numbers = [_class(column, *each) for column, each in zip(target.columns, given.items(), strict=True)]
    else:
        takes = model.loss.targets
        numbers = [_value(takes, *each) for each in given.items()]
    out = np.zeros((1, target.outputs), model.architecture.dtype)
    target.encode([np.array([number]) for number in numbers], out)
    return out


def _class(column: TargetColumn, pointer: str, answer: Any) -> int:
    for number, label in enumerate(column.classes):
        if label == answer and isinstance(label, bool) == isinstance(answer, bool):
            return number
    raise _refused(pointer, answer, f"it is no class of {column.name!r}", list(column.classes[:SHOWN_LEVELS]))


def _value(takes: Interval, pointer: str, answer: Any) -> float:
    if isinstance(answer, bool) or not isinstance(answer, int | float) or answer not in takes:
        raise _refused(pointer, answer, "it is not what the loss takes", f"a number in {takes}")
    return float(answer)


def _refused(pointer: str, value: Any, detail: str, allowed: Any) -> BadData:
    field = pointer[1:].replace("/", ".")
    return BadData(
        f"{field}: {detail}; allowed: {in_words(allowed)}", errors=[FieldError(pointer, value, detail, allowed)]
    )


def _learning_rate(model: Model) -> float:
    rate = model.document["spec"]["optimizer"].get("learning_rate")
    if rate is None:
        detail = "this model's optimizer has no learning rate of its own"
        error = FieldError("/learning_rate", None, detail, "a number of 0 or more")
        raise InvalidRequest(f"learning_rate: {detail}; allowed: a number of 0 or more", errors=[error])
    return float(rate)


def _layer(
    number: int, layer: ShownLayer, weights: Parameters, gradient: Parameters, updated: Parameters
) -> dict[str, Any]:
    slope = layer.slope()
    return {
        "layer": number,
        "activation": name_of(layer.shape.activation),
        "normalization": layer.shape.normalization,
        "z": layer.z[0].tolist(),
        "normalized": layer.y[0].tolist() if layer.shape.normalizer else None,
        "a": layer.a[0].tolist(),
        "derivative": None if slope is None else slope[0].tolist(),
        "delta": layer.delta[0].tolist(),
        "gradient": _arrays(gradient, number, layer.shape.running),
        "before": _arrays(weights, number, ()),
        "after": _arrays(updated, number, ()),
    }


def _arrays(parameters: Parameters, number: int, left_out: tuple[str, ...]) -> dict[str, Any]:
    """A layer's arrays by name; of a gradient without those that have none."""
    place = number - 1
    biases = {"b": parameters.b[place].tolist()} if parameters.b else {}
    others = {name: array.tolist() for name, array in parameters.others[place].items() if name not in left_out}
    return {"W": parameters.W[place].tolist(), **biases, **others}
