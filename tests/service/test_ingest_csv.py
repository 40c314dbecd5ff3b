"""CSV as the documentation of the API says that it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.datasets import Column
from service.errors import BadData
from service.ingest_columns import describe
from service.ingest_formats import read_csv


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def column(file: Path, *values: str) -> Column:
    """What a column of these values is found to be."""
    rows = [f"{value},{'uv'[number % 2]}" for number, value in enumerate(values)]
    file.write_text("\n".join(["a,y", *rows, ""]))
    return describe(read_csv(file, "y", 1 << 20), "y", {})[0].columns[0]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_say_nothing(file: Path, end: str, mark: str) -> None:
    file.write_bytes((mark + end.join([" a , b", "1,x", "2,z", ""])).encode())
    found = describe(read_csv(file, "b", 1 << 20), "b", {})[0]
    assert [one.name for one in found.columns] == ["a", "b"]
    assert (found.columns[0].levels, found.classes) == ((1, 2), ("x", "z"))


@pytest.mark.parametrize("nothing", ["", '""', "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null"])
def test_what_stands_for_nothing(file: Path, nothing: str) -> None:
    if nothing != '""':  # of numbers, what is quoted is a value
        assert (column(file, "1", nothing).kind, column(file, "1", nothing).missing) == ("integer", 1)
    assert (column(file, "x", nothing).kind, column(file, "x", nothing).missing) == ("text", 1)


@pytest.mark.parametrize("text", ["None", "?", "-", "missing", '"NA"'])
def test_other_words_for_nothing_are_text(file: Path, text: str) -> None:
    found = column(file, "x", text)
    assert (found.missing, found.distinct) == (0, 2)


def test_spaces_stay_in_text_and_not_in_numbers(file: Path) -> None:
    assert column(file, " x", "x", "x ").levels == (" x", "x", "x ")
    assert column(file, " 1", "2 ").levels == (1, 2)


def test_leading_zeros_are_no_part_of_a_number(file: Path) -> None:
    assert column(file, "007", "010").levels == (7, 10)


@pytest.mark.parametrize("date", ["2024-01-31", "2024-01-31 12:00:00", "2024-01-31T12:00:00Z", "12:30", "31/01/2024"])
def test_dates_and_times_are_text(file: Path, date: str) -> None:
    assert column(file, date, date).levels == (date,)


def test_one_text_makes_the_column_text(file: Path) -> None:
    assert column(file, "1", "2", "x").levels == ("1", "2", "x")


@pytest.mark.parametrize("words", [("true", "false"), ("True", "False"), ("TRUE", "FALSE")])
def test_true_and_false_are_booleans(file: Path, words: tuple[str, str]) -> None:
    assert column(file, *words).type == "boolean"


def test_whole_numbers_beyond_2_to_the_63_are_floats(file: Path) -> None:
    assert column(file, str(2**53 + 1), "2").levels == (2, 2**53 + 1)
    assert column(file, str(2**64), "2").kind == "float"


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("values", ["1{}u", "1,5{}u"])
def test_another_separator_is_guessed_and_named(file: Path, separator: str, values: str) -> None:
    file.write_text(f"a{separator}y\r\n{values.format(separator)}\r\n", newline="")
    with pytest.raises(BadData, match="separated by commas") as refused:
        read_csv(file, "y", 1 << 20)
    assert f"separated by {separator!r}?" in refused.value.detail


def test_semicolons_in_a_name_among_others_are_no_separator(file: Path) -> None:
    file.write_text("a;b,y\n1,u\n2,v\n")
    assert read_csv(file, "y", 1 << 20).column_names == ["a;b", "y"]
