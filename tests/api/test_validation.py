"""What a validation says of a body: true pointers, the value as it came, what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from api.validation import field_errors, json_pointer
from service.errors import FieldError
from service.spec import JobSpec


def refused(**fields: Any) -> dict[str, FieldError]:
    body = {"dataset": "iris", **fields}
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(body)
    errors = [{**error, "loc": ("body", *error["loc"])} for error in caught.value.errors()]
    return {error.pointer: error for error in field_errors(errors, body, JobSpec)}


def test_an_unknown_field_is_named_with_those_there_are() -> None:
    found = refused(epoch=3)
    assert list(found) == ["/epoch"]
    assert "epochs" in found["/epoch"].allowed


def test_an_unknown_field_deep_inside_is_named_with_its_neighbours() -> None:
    found = refused(optimizer={"lr": 1})
    assert list(found) == ["/optimizer/lr"]
    assert "learning_rate" in found["/optimizer/lr"].allowed


def test_a_choice_is_named_with_its_members() -> None:
    assert refused(network={"activation": "gelu"})["/network/activation"].allowed == [
        "identity",
        "sigmoid",
        "tanh",
        "relu",
    ]


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


def test_what_is_missing_has_no_value() -> None:
    errors = [{"type": "missing", "loc": ("body", "dataset"), "msg": "Field required", "input": {"epochs": 1}}]
    (found,) = field_errors(errors, {"epochs": 1}, JobSpec)
    assert (found.pointer, found.value) == ("/dataset", None)


def test_keys_with_slashes_and_tildes_are_escaped() -> None:
    assert json_pointer(["a/b", "m~n", 0]) == "/a~1b/m~0n/0"
    assert list(refused(tags={"a/b": 1})) == ["/tags/a~1b"]
