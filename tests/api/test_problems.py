"""Problem documents: bounded and strict JSON, whatever they speak of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import STATUS, MalformedJSON, problem_of
from api.problems import MAX_BYTES, Problem, document
from service import errors
from service.errors import DeltaqError, FieldError

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(value=anything, pointer=st.text(st.characters()), detail=st.text(st.characters()), allowed=anything)
def test_whatever_was_refused_the_problem_is_strict_json(value, pointer, detail, allowed) -> None:  # type: ignore[no-untyped-def]
    body = document(Problem(422, "Invalid", detail, errors=[FieldError(pointer, value, detail, allowed)]))
    read = json.loads(body.decode("utf-8"), parse_constant=pytest.fail)
    assert read["status"] == 422
    assert set(read["errors"][0]) == {"pointer", "value", "detail", "allowed"}


@pytest.mark.parametrize("text", ["x", "\x01", "ü", "\U0001f600", "\ud800", '"'])
@pytest.mark.parametrize("count", [1, 2, 100_000])
def test_no_problem_is_larger_than_it_may_be(text: str, count: int) -> None:
    long = text * 20_000
    errors_ = [FieldError(long, [long] * 16, long, [long] * 100)] * count
    body = document(Problem(422, "Invalid", long, errors=errors_))
    assert len(body) <= MAX_BYTES
    assert json.loads(body)["detail"]


def test_a_nested_or_large_value_is_described_and_not_walked() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    body = json.loads(
        document(Problem(422, "Invalid", "", errors=[FieldError("/x", deep, ""), FieldError("", {}, "")]))
    )
    assert [error["value"] for error in body["errors"]] == ["a list of 1", "an object of 0 fields"]


def test_short_values_come_back_as_they_were() -> None:
    for value in (0, -1, 1.5, True, None, "", "relu", [1, "a", None], []):
        body = json.loads(document(Problem(422, "Invalid", "", errors=[FieldError("/x", value, "")])))
        assert body["errors"][0]["value"] == value


def _all(kind: type[DeltaqError]) -> list[type[DeltaqError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _all(child))]


@pytest.mark.parametrize("kind", _all(DeltaqError), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_its_status(kind: type[DeltaqError]) -> None:
    found = problem_of(kind("what went wrong", hint="what to try"))
    ours = (errors.TrainingFailed, errors.Misconfigured)  # nothing that is asked over HTTP raises these
    if kind is DeltaqError or issubclass(kind, ours):
        assert found is None
        return
    assert found is not None
    assert found.status == next(STATUS[base] for base in kind.__mro__ if base in STATUS)
    assert "what went wrong" in found.detail
    assert "what to try" in found.detail


def test_malformed_json_is_not_merely_invalid() -> None:
    found = problem_of(MalformedJSON("no"))
    assert found is not None
    assert (found.status, found.type) == (400, "urn:deltaq:problem:malformed-json")


def test_a_bug_is_no_problem_of_the_client() -> None:
    assert problem_of(ZeroDivisionError("a secret")) is None
