"""What a validation says of a body: true pointers, the value as it came, what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from api.allowed import Schema
from api.validation import dotted, field_errors, json_pointer
from service.errors import FieldError
from service.spec import JobSpec
from workers.mlp.activations import ACTIVATIONS
from workers.mlp.initializers import INITIALIZERS
from workers.mlp.losses import LOSSES

_DOCUMENT = JobSpec.model_json_schema()
SCHEMAS = {"body": Schema(_DOCUMENT, _DOCUMENT)}
NAMED = 'an object, as {"name": …}'


def refused(**fields: Any) -> dict[str, FieldError]:
    body = {"dataset": "iris", **fields}
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(body)
    errors = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
    return {error.pointer: error for error in field_errors(errors, body, SCHEMAS)}


def test_an_unknown_field_is_named_with_those_there_are() -> None:
    found = refused(epoch=3)
    assert list(found) == ["/epoch"]
    assert "epochs" in found["/epoch"].allowed


def test_an_unknown_field_deep_inside_is_named_with_its_neighbours() -> None:
    found = refused(optimizer={"lr": 1})
    assert list(found) == ["/optimizer/lr"]
    assert "learning_rate" in found["/optimizer/lr"].allowed


def test_a_choice_is_named_with_its_members() -> None:
    allowed = refused(network={"activation": "softmax"})["/network/activation"].allowed
    assert set(allowed) == {*(name for name, kind in ACTIVATIONS.items() if kind.hidden), NAMED}
    assert set(refused(loss="l2")["/loss"].allowed) == {"auto", *LOSSES, NAMED}


@pytest.mark.parametrize(
    ("fields", "pointer", "value", "allowed"),
    [
        (
            {"network": {"activation": {"name": "elu", "alpha": -1}}},
            *("/network/activation/alpha", -1, "a number of more than 0 and at most 100"),
        ),
        ({"network": {"activation": {"name": "elu", "beta": 1}}}, "/network/activation/beta", 1, ["name", "alpha"]),
        ({"network": {"activation": {"name": "relu", "alpha": 1}}}, "/network/activation/alpha", 1, ["name"]),
        (
            {"network": {"hidden": [{"units": 3, "activation": {"name": "prelu", "slope": 3}}]}},
            *("/network/hidden/0/activation/slope", 3, "a number from -1 to 1"),
        ),
        (
            {"network": {"output_activation": {"name": "gelu", "approximate": "erf"}}},
            *("/network/output_activation/approximate", "erf", ["none", "tanh"]),
        ),
        ({"loss": {"name": "huber", "delta": "1"}}, "/loss/delta", "1", "a number of more than 0 and at most 1000000"),
        ({"loss": {"name": "focal", "alpha": 1}}, "/loss/alpha", 1, "a number of more than 0 and less than 1"),
    ],
)
def test_the_fields_of_a_choice_are_those_of_its_name(
    fields: dict[str, Any], pointer: str, value: Any, allowed: Any
) -> None:
    (error,) = refused(**fields).values()
    assert (error.pointer, error.value, error.allowed) == (pointer, value, allowed)


@pytest.mark.parametrize("name", ["glorot", {}, 5, None])
def test_a_name_that_is_none_of_a_choices_is_refused_where_it_stands(name: Any) -> None:
    (error,) = refused(network={"initializer": {"name": name}}).values()
    assert (error.pointer, error.value) == ("/network/initializer/name", name)
    assert set(error.allowed) == set(INITIALIZERS)


@pytest.mark.parametrize("name", ["auto", "l2", None])
def test_fields_beside_a_name_that_has_none_are_no_second_mistake(name: Any) -> None:
    (error,) = refused(loss={"name": name, "label_smoothing": 0.1}).values()
    assert (error.pointer, set(error.allowed)) == ("/loss/name", set(LOSSES))
    found = refused(loss={"name": name, "smoothing": 0.1})
    assert list(found) == ["/loss/name", "/loss/smoothing"]


@pytest.mark.parametrize(
    ("given", "has", "has_not"),
    [({}, "nesterov", "beta1"), ({"name": "adam"}, "beta1", "nesterov"), ({"name": "lbfgs"}, "history", "beta1")],
)
def test_the_fields_of_an_optimizer_are_those_of_its_name(given: dict[str, Any], has: str, has_not: str) -> None:
    allowed = refused(optimizer={**given, "lr": 1})["/optimizer/lr"].allowed
    assert {"name", "learning_rate", "schedule", "l2", has} <= set(allowed)
    assert has_not not in allowed
    assert refused(optimizer={**given, has_not: "x"})[f"/optimizer/{has_not}"].detail.startswith("should be ")


def test_a_choice_without_a_name_says_which_there_are() -> None:
    (error,) = refused(network={"initializer": {}}).values()
    assert (error.pointer, error.detail) == ("/network/initializer/name", "this is required")
    assert set(error.allowed) == set(INITIALIZERS)


def test_what_is_chosen_stays_as_it_was_written() -> None:
    written = {
        "dataset": "iris",
        "loss": {"name": "focal", "alpha": None},
        "network": {"activation": {"name": "elu"}, "initializer": "zeros"},
    }
    spec = JobSpec.model_validate(written)
    assert spec.model_dump(mode="json", exclude_unset=True) == written


def test_the_schema_says_what_each_field_is_by_default() -> None:
    definitions = _DOCUMENT["$defs"]
    assert definitions["Huber"]["properties"]["delta"]["default"] == 1.0
    assert definitions["Huber"]["required"] == ["name"]
    assert definitions["Gelu"]["description"].startswith("GELU")


@pytest.mark.parametrize(
    ("hidden", "pointer", "value"),
    [([8, 0], "/network/hidden/1", 0), ([8, {"units": "x"}], "/network/hidden/1/units", "x")],
)
def test_members_of_a_union_are_no_part_of_the_pointer(hidden: list[Any], pointer: str, value: Any) -> None:
    found = refused(network={"hidden": hidden})
    assert list(found) == [pointer]
    assert found[pointer].value == value


def test_both_members_of_a_union_say_what_they_allow() -> None:
    allowed = refused(batch_size="half")["/batch_size"].allowed
    assert "full" in allowed
    assert any("integer" in str(choice) for choice in allowed)


@pytest.mark.parametrize(
    ("fields", "pointer", "allowed"),
    [
        ({"epochs": 1.8446744073709552e19}, "/epochs", "an integer from 1 to 1000000"),  # 2^64, as JSON readers have it
        ({"epochs": "3"}, "/epochs", "an integer from 1 to 1000000"),
        ({"seed": 1e30}, "/seed", "an integer from 0 to 9223372036854775807"),
        ({"seed": 2**63}, "/seed", "an integer from 0 to 9223372036854775807"),
        ({"batch_size": 1e30}, "/batch_size", ["an integer from 1 to 16777216", "full"]),
        ({"optimizer": {"momentum": 1}}, "/optimizer/momentum", "a number of at least 0 and less than 1"),
        ({"optimizer": {"learning_rate": "x"}}, "/optimizer/learning_rate", "a number from 0 to 1000000000"),
        ({"network": {"hidden": 8}}, "/network/hidden", "a list of at most 64 items"),
        ({"network": {"hidden": [8] * 65}}, "/network/hidden", "a list of at most 64 items"),
        (
            {"network": {"hidden": ["x"]}},
            "/network/hidden/0",
            ["an integer from 1 to 65536", 'an object, as {"units": …}'],
        ),
        ({"data": {"features": []}}, "/data/features", "a list of 1 to 100000 items"),
        ({"tags": []}, "/tags", "an object of at most 32 fields"),
        ({"tags": {str(number): "" for number in range(33)}}, "/tags", "an object of at most 32 fields"),
        ({"tags": {"a": 1}}, "/tags/a", "text of at most 256 characters"),
        ({"name": ""}, "/name", "text of 1 to 200 characters"),
        ({"shuffle": 1}, "/shuffle", "true or false"),
        ({"early_stopping": 5}, "/early_stopping", 'an object, as {"metric": …}'),
        ({"optimizer": "adam"}, "/optimizer", NAMED),
        ({"workers": 2}, "/workers", 'an object, as {"min": …}'),
        ({"warm_start": "model-1"}, "/warm_start", 'an object, as {"model": …}'),
    ],
)
def test_what_is_allowed_is_said_in_words_of_json(fields: dict[str, Any], pointer: str, allowed: Any) -> None:
    found = refused(**fields)
    assert list(found) == [pointer]
    assert found[pointer].allowed == allowed
    assert found[pointer].detail.startswith("should be ")


@pytest.mark.parametrize("tag", ["a=b", "=", "", "k" * 65])
def test_a_tags_key_can_be_told_from_its_value(tag: str) -> None:
    (error,) = refused(tags={tag: "x"}).values()
    assert error.pointer == f"/tags/{tag}"
    assert error.value == tag
    assert error.detail == "as a key it should be 1 to 64 characters, none of them '='"


def test_one_item_is_one() -> None:
    node = {"type": "array", "minItems": 1}
    assert Schema(node, node).words() == ["a list of at least 1 item"]


def test_what_is_missing_has_no_value() -> None:
    errors = [{"type": "missing", "loc": ("body", "dataset"), "msg": "Field required", "input": {"epochs": 1}}]
    (found,) = field_errors(errors, {"epochs": 1}, SCHEMAS)
    assert (found.pointer, found.value) == ("/dataset", None)
    assert found.allowed == "text of 1 to 200 characters"


def test_keys_with_slashes_and_tildes_are_escaped() -> None:
    assert json_pointer(["a/b", "m~n", 0]) == "/a~1b/m~0n/0"
    assert list(refused(tags={"a/b": 1})) == ["/tags/a~1b"]


def test_in_a_sentence_a_pointer_is_a_dotted_name() -> None:
    assert dotted("/network/hidden/0") == "network.hidden.0"
    assert dotted("/tags/a~1b~0c") == "tags.a/b~c"
    assert dotted("") == ""
