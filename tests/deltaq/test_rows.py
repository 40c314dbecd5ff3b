"""Rows to predict, in pages, from whatever holds them; and from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaq.errors import InvalidInput
from deltaq.records import Column
from deltaq.rows import pages
from deltaq.table_rows import read_rows


@given(st.integers(0, 30), st.integers(1, 8))
def test_pages_hold_every_row_once_and_in_order(count: int, size: int) -> None:
    rows = [[number, number + 1] for number in range(count)]
    for held in (rows, iter(rows), np.array(rows).reshape(count, 2)):
        cut = list(pages(held, size))
        assert [row for page in cut for row in page] == rows
        assert all(len(page) == size for page in cut[:-1])
        assert all(0 < len(page) <= size for page in cut)


@pytest.mark.parametrize(("width", "size"), [(4, 9_984), (100, 9_984), (784, 1_024), (5_000, 200), (2_000_000, 1)])
def test_wide_rows_make_short_pages_of_whole_blocks(width: int, size: int) -> None:
    rows = np.broadcast_to(np.float32(0), (size + 1, width))
    first = next(pages(rows))
    assert len(first) == size
    assert len(next(pages(iter(first)))) == size


def test_a_table_becomes_rows_by_column() -> None:
    table = pa.table({"x": [1, None], "colour": ["red", "blue"]})
    assert list(pages(table)) == [[{"x": 1, "colour": "red"}, {"x": None, "colour": "blue"}]]


@pytest.mark.parametrize("rows", ["1,2", {"x": 1}, 3, np.arange(4), np.zeros((2, 2, 2))])
def test_what_are_no_rows_is_refused(rows: Any) -> None:
    with pytest.raises(InvalidInput, match="rows must"):
        list(pages(rows))


COLUMNS = [
    Column(name="x", type="numeric"),
    Column(name="code", type="categorical"),
    Column(name="level", type="categorical", raw={"minimum": 0.0}),
    Column(name="ok", type="boolean"),
]


def test_a_cell_means_what_its_column_meant(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('\ufeffx,code,level,ok,extra\n0,007,3,TRUE,1\n1e-3,"a,b",,no,\n\n', encoding="utf-8")
    assert read_rows(str(path), COLUMNS) == [
        {"x": 0, "code": "007", "level": 3, "ok": True, "extra": "1"},
        {"x": 0.001, "code": "a,b", "level": None, "ok": "no", "extra": None},
    ]
    assert (
        read_rows(str(path), None)[0]["code"] == 7
    )  # nothing is known of the columns: what looks like a number is one


@pytest.mark.parametrize(("cell", "value"), [("-5", -5), ("+5", 5), ("0.5", 0.5), ("1e3", 1000.0), ("+-5", "+-5")])
def test_a_number_is_read_as_python_reads_it(cell: str, value: float | str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"x\n{cell}\n")
    (row,) = read_rows(str(path), COLUMNS)
    assert (row["x"], type(row["x"])) == (value, type(value))


def test_json_and_yaml_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"rows": [[0, 1]]}')
    assert read_rows(str(path), None) == [[0, 1]]
    path = tmp_path / "rows.yaml"
    path.write_text("- {x: 0}\n- {x: 1}\n")
    assert read_rows(str(path), None) == [{"x": 0}, {"x": 1}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rows.csv", "a,b\n1,2\n3\n", "line 3: 1 cells, and 2 in the head"),
        ("rows.csv", 'a,b\n"1,2\n', "line 2: unexpected end of data"),
        ("rows.json", '{"x": 1}', "expected a list of rows"),
        ("rows.json", "3", "expected a list of rows"),
        ("rows.json", "[]", "no rows to predict"),
        ("rows.csv", "a,b\n", "no rows to predict"),
        ("rows.csv", "", "no rows to predict"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message):
        read_rows(str(path), None)
