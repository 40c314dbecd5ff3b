"""JSON and YAML as users write them, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deltaq.documents import parse, read
from deltaq.errors import InvalidInput

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_what_is_json_is_read_as_json(value: Any) -> None:
    assert parse(json.dumps(value, ensure_ascii=False), "spec.json") == value


@given(JSON_VALUES)
def test_what_is_written_as_yaml_comes_back(value: Any) -> None:
    assert parse(yaml.safe_dump(value, allow_unicode=True, default_style='"'), "spec.yaml") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("learning_rate: 1e-3", {"learning_rate": 0.001}),
        ("name: no", {"name": "no"}),
        ("when: 2026-01-01", {"when": "2026-01-01"}),
        ("version: 1_000", {"version": "1_000"}),
        ("a: [1, .5, -2, 0x10, 0o17, 012]", {"a": [1, 0.5, -2, 16, 15, 12]}),
        ("a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}),
        ("a: true\nb: 'true'", {"a": True, "b": "true"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("", None),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_yaml_is_read_by_its_newer_rules(text: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    found = read(str(path))
    assert found == value
    assert json.dumps(found) == json.dumps(value)  # 1 is not 1.0 or True


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ('{"epochs": 1,\n "seed" 2}', "line 2, column 9", "expected ':'"),
        ('{"rate": NaN}', "line 1, column 10", "unexpected"),
        ('{"name": "\\ud800"}', "line 1, column 11", "surrogate"),
        ("epochs: 1\nepochs: 2", "line 2, column 1", "twice"),
        ("a: [1,\nb: 2", "line 2, column 5", "expected"),
        ("rate: .inf", "line 1, column 7", "finite"),
        ("rate: 1e999", "line 1, column 7", "finite"),
        ("1: 2", "line 1, column 1", "text"),
        ("? [a]\n: b", "line 1, column 3", "text"),
        ("a: !!python/object:os.system x", "line 1, column 4", "not known"),
        ("a: *b", "line 1, column 4", "alias"),
        ("a: 1\n---\nb: 2", "line 2, column 1", "document"),
        ("\ta: 1", "line 1, column 1", "token"),
        ("ok: 1\na: \x01b", "line 2, column 4", "not allowed"),
        (f"a: {'9' * 5000}", "line 1, column 4", "int"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, place: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text, "spec")
    assert f"spec, {place}: " in str(refused.value)
    assert why in str(refused.value)


@pytest.mark.parametrize("text", ["- " * 20_000, "[" * 20_000, "a: &x [*x]"])
def test_what_is_nested_without_end_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"nested too deeply|depth|expected"):
        parse(text, "spec")


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"a: 1\nb: \xff")
    with pytest.raises(InvalidInput, match="line 2, column 4: not UTF-8"):
        read(str(path))
    with pytest.raises(InvalidInput, match="No such file"):
        read(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(InvalidInput, match="directory"):
        read(str(tmp_path))
