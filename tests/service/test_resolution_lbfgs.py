"""What goes with L-BFGS, and how the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import InvalidSpec
from service.resolution import Resolution, resolve
from service.spec import JobSpec
from tests.service.data_room import builtin_dataset


def resolved(optimizer: dict[str, Any], **spec: Any) -> Resolution:
    fields = {"dataset": "iris", "batch_size": "full", **spec, "optimizer": {"name": "lbfgs", **optimizer}}
    return resolve(JobSpec.model_validate(fields), builtin_dataset("iris"))


def test_its_own_fields_have_defaults_and_resolve_to_themselves() -> None:
    found = resolved({})
    optimizer = found.spec.optimizer
    assert (optimizer.history, optimizer.max_evaluations, optimizer.learning_rate) == (10, 25, 1.0)
    assert (optimizer.gradient_tolerance, optimizer.change_tolerance) == (1e-7, 1e-9)
    assert resolve(found.spec, builtin_dataset("iris")).spec == found.spec


@pytest.mark.parametrize(("optimizer", "warned"), [({"name": "lbfgs"}, False), ({"name": "sgd"}, True)])
def test_it_finds_the_small_steps_of_large_amounts_itself(optimizer: dict[str, Any], warned: bool) -> None:
    fields = {"dataset": "diabetes", "loss": "poisson", "batch_size": "full", "optimizer": optimizer}
    said = resolve(JobSpec.model_validate(fields), builtin_dataset("diabetes")).warnings
    assert any("by small steps alone" in words for words in said) == warned


def test_what_leaves_the_function_fixed_and_smooth_is_taken() -> None:
    network = {
        "hidden": [8, {"units": 4, "activation": "prelu", "dropout": 0.0}],
        "normalization": "layer",
        "activation": "tanh",
    }
    optimizer = {"l2": 1e-3, "history": 5, "learning_rate": 0.5}
    assert resolved(optimizer, network=network, shards=4).spec.optimizer.history == 5


@pytest.mark.parametrize(
    ("pointer", "value", "allowed"),
    [
        ("/batch_size", 32, ["full"]),
        ("/network/dropout", 0.5, [0.0]),
        ("/network/input_dropout", 0.1, [0]),
        ("/network/normalization", "batch", ["none", "layer"]),
        ("/network/hidden/1/dropout", 0.25, [0.0]),
        ("/network/hidden/1/normalization", "batch", ["none", "layer"]),
        ("/optimizer/l1", 0.1, [0.0]),
        ("/optimizer/max_norm", 3.0, [None]),
        ("/optimizer/clip_value", 1.0, [None]),
        ("/optimizer/clip_norm", 1.0, [None]),
        ("/optimizer/schedule", "cosine", ["constant"]),
        ("/optimizer/schedule", {"name": "step", "every": 2}, ["constant"]),
    ],
)
def test_what_is_refused(pointer: str, value: Any, allowed: list[Any]) -> None:
    first, *rest = pointer.strip("/").split("/")
    spec: dict[str, Any] = {first: value} if not rest else {first: {rest[-1]: value}}
    if "hidden" in rest:
        spec = {"network": {"hidden": [8, {"units": 4, rest[-1]: value}]}}
    with pytest.raises(InvalidSpec) as refusal:
        resolved(spec.pop("optimizer", {}), **spec)
    (error,) = refusal.value.errors
    assert (error.pointer, error.value, error.allowed) == (pointer, value, allowed)
    assert "lbfgs" in error.detail


@pytest.mark.parametrize("field", ["momentum", "weight_decay", "beta1", "epsilon", "nesterov"])
def test_other_optimizers_fields_are_refused(field: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        resolved({field: field == "nesterov" or 0.5})
    (error,) = refusal.value.errors
    assert error.pointer == f"/optimizer/{field}"
    assert {"l2", "history", "max_evaluations", "gradient_tolerance", "change_tolerance"} <= set(error.allowed)


@pytest.mark.parametrize("field", ["history", "max_evaluations", "gradient_tolerance", "change_tolerance"])
def test_its_fields_are_its_own(field: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        resolved({"name": "adam", field: 1})
    assert refusal.value.errors[0].pointer == f"/optimizer/{field}"
