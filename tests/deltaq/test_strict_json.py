"""What is sent as JSON, and what is refused before it is."""

from __future__ import annotations

import math
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from deltaq.client import Client
from deltaq.errors import InvalidInput
from deltaq.rows import body
from deltaq.strict_json import encode


def test_numpy_numbers_and_read_only_mappings_are_plain_json() -> None:
    document = MappingProxyType({"a": np.float32(0.5), "b": np.arange(2), "name": "null", "none": None})
    assert encode(document) == b'{"a":0.5,"b":[0,1],"name":"null","none":null}'


@pytest.mark.parametrize("value", [object(), 2**70, "\ud800", {1: 2}, {3}, timedelta(1)])
def test_what_has_no_json_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^/a/1/b~1: this cannot be sent as JSON: "):
        encode({"fine": 1, "a": MappingProxyType({"1": {"b/": value}})})
    with pytest.raises(InvalidInput, match=r"^/a/1: this cannot be sent as JSON: "):
        encode({"a": [None, value]})
    with pytest.raises(InvalidInput, match=r"^this cannot be sent as JSON: "):
        encode(value)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="cannot be sent as JSON"):
        encode({"a": endless})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"optimizer": {"learning_rate": math.nan}}, "/optimizer/learning_rate: nan is not a finite number"),
        ({"a/b": [1, {"c~": -math.inf}]}, "/a~1b/1/c~0: -inf is not"),
        ({"epochs": np.float32("inf")}, "/epochs: inf is not"),
        ({"split": np.array([0.5, math.nan])}, "/split/1: nan is not"),
        (None, "the spec is empty"),
        ([1], "the spec must be an object.*not a list"),
        ("iris", "the spec must be an object.*not a str"),
    ],
)
def test_what_is_no_spec_is_refused_before_it_is_sent(spec: Any, message: str) -> None:
    with Client("http://127.0.0.1:9") as client:
        for act in (client.submit, client.dry_run):
            with pytest.raises(InvalidInput, match=message):
                act(spec)


def test_in_rows_nan_is_a_missing_value_and_infinity_is_none() -> None:
    assert body([[1.5, math.nan], [None, 2]], 0) == b'{"rows":[[1.5,null],[null,2]]}'
    with pytest.raises(InvalidInput, match=r"/rows/101/1: inf is not a finite number; a missing value is None or NaN"):
        body([[math.nan, 1.0], [0.0, math.inf]], 100)
    with pytest.raises(InvalidInput, match=r"^/rows/101/0: this cannot be sent as JSON: a set has no JSON: \{1\}"):
        body([[1.0], [{1}]], 100)
    with pytest.raises(InvalidInput, match="/rows/0/x: -inf"):
        body([{"x": -math.inf}], 0)
