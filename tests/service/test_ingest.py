"""Uploads as they come: what is found over all rows, what is refused by column and row, and what cannot get through."""

from __future__ import annotations

import datetime
import decimal
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import psutil
import pyarrow as pa
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import strict_json
from service.datasets import Dataset
from service.errors import BadData, DatasetNotFound, StoreUnavailable, TooLarge
from service.ingest_process import Limits, ingest
from service.uploads import FORMATS
from tests.service.data_room import CSV, NPZ, PARQUET, DataRoom, npz, parquet_bytes, read

LIMITS = Limits(64 << 20, 60.0)


def refusal(folder: Path, body: bytes, **upload: Any) -> str:
    """The words with which an upload is refused."""
    with pytest.raises(BadData) as refused:
        read(folder, body, **upload)
    return refused.value.detail


def refused_upload(room: DataRoom, body: bytes, **upload: Any) -> str:
    """The words with which an upload is refused, child and all; nothing of it may stay."""
    with pytest.raises(BadData) as refused:
        room.add(body, **upload)
    assert room.files() == set()
    with pytest.raises(DatasetNotFound):
        room.records.find(room.tenant, "given")
    return refused.value.detail


def columns(dataset: Dataset) -> dict[str, tuple[str, str, int, int]]:
    return {column.name: (column.type, column.kind, column.missing, column.distinct) for column in dataset.columns}


class TestAllRowsCount:
    """300,000 rows, several blocks: a type is found over all of them, not over the first."""

    HEAD = b"a,y\n" + b"".join(b"%d,%d\n" % (row, row % 3) for row in range(299_999))

    def test_a_fraction_in_the_last_row_makes_a_column_of_fractions(self, data_room: DataRoom) -> None:
        dataset, created = data_room.add(self.HEAD + b"1.5,1\n")
        assert created
        assert columns(dataset)["a"] == ("numeric", "float", 0, 300_000)

    def test_a_word_in_the_last_row_is_named(self, data_room: DataRoom) -> None:
        words = refused_upload(data_room, self.HEAD + b"abc,1\n")
        assert "column 'a'" in words
        assert "'abc' in row 300000" in words
        assert data_room.add(self.HEAD + b"1,1\n", "given")[1]  # the name is free

    def test_a_word_in_a_column_said_to_be_numeric_is_named(self, data_room: DataRoom) -> None:
        words = refused_upload(data_room, self.HEAD + b"abc,1\n", columns={"a": "numeric"})
        assert "column 'a' row 300000: 'abc' is no number" in words

    def test_a_missing_target_in_the_last_row_is_named(self, data_room: DataRoom) -> None:
        assert "column 'y' row 300000" in refused_upload(data_room, self.HEAD + b"1,\n")


@pytest.mark.parametrize(
    ("header", "named"),
    [("a,a,y", "'a'"), (",a,y", "column 1"), ("y,a,y", "'y'"), ("a ,a,y", "'a'"), ('"a\nb",c,y', "'a\\nb'")],
)
def test_headers_that_are_refused(tmp_path: Path, header: str, named: str) -> None:
    assert named in refusal(tmp_path, f"{header}\n1,2,3\n4,5,6\n".encode())


def test_parquet_with_a_doubled_name_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1, 2])] * 3, names=["a", "y", "a"])
    assert "'a'" in refusal(tmp_path, parquet_bytes(table), form="parquet")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"\xef\xbb\xbfy,a\n0,1\n1,2\n")
    assert dataset.columns[0].name == "y"


def test_white_space_round_names_goes(tmp_path: Path) -> None:
    dataset = read(tmp_path, b" a , y\r\n1,0\r\n2,1\r\n")
    assert [column.name for column in dataset.columns] == ["a", "y"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"a,y\n1,0\n2\n", "row 2 has 1 value(s), the header names 2"),
        (b"a,y\n1,0\n2,1,3\n", "row 2 has 3 value(s), the header names 2"),
        (b'a,y\n1,0\n"2,1\n', "row 2 has 1 value(s)"),
        (b"a,y\n1,0\n2,\n", "column 'y' row 2: the target has no value"),
        (b"a,y\n1,0\n2,nan\n", "column 'y' row 2: the target has no value"),
        (b"a,y\n1,5\n2,5\n", "column 'y' has one class alone, 5"),
        (b"a,y\n1,no\n2,no\n", "column 'y' has one class alone, 'no'"),
        (b"a,b\n1,5\n2,5\n", "target 'y' is no column of the data; allowed: 'a', 'b'"),
        (b"a,y\n1,0\ninf,1\n", "column 'a' row 2: the number is infinite"),
        (b"a,y\n1e999,0\n2,1\n", "column 'a' row 1: the number is infinite"),
        (b"a,y\n1,0.5\n2,-inf\n", "column 'y' row 2: the number is infinite"),
        (b"a,y\nx,0\n\xff,1\n", "column 'a' row 2: the text is not UTF-8"),
        (b"y\n1\n2\n", "'y' is the only column"),
        (b"a,y\n", "the data has no row"),
        (b"", "cannot be read as csv"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "cannot be read as csv"),
        ("a,y\n1,0\n".encode("utf-16"), "UTF-16; allowed: UTF-8"),
    ],
)
def test_bodies_that_are_refused(tmp_path: Path, body: bytes, words: str) -> None:
    assert words in refusal(tmp_path, body)


@pytest.mark.parametrize(
    ("written", "classes", "task"),
    [
        (["yes", "no", "yes"], ("no", "yes"), "binary"),
        (["setosa", "virginica", "versicolor"], ("setosa", "versicolor", "virginica"), "multiclass"),
        (["1.0", "2.0", "1.0"], (1.0, 2.0), "binary"),
        (["true", "false", "true"], (False, True), "binary"),
        (["-1", "+1", "-1"], (-1, 1), "binary"),
        (["10", "9", "-2"], (-2, 9, 10), "multiclass"),
        (["ä", "Z", "a"], ("Z", "a", "ä"), "multiclass"),
    ],
)
def test_classes_are_the_labels_as_uploaded(
    tmp_path: Path, written: list[str], classes: tuple[Any, ...], task: str
) -> None:
    body = "x,y\n" + "".join(f"{row},{label}\n" for row, label in enumerate(written))
    dataset = read(tmp_path, body.encode())
    assert dataset.classes == classes
    assert [type(label) for label in dataset.classes] == [type(label) for label in classes]
    assert dataset.task == task


@pytest.mark.parametrize(("distinct", "task"), [(20, "multiclass"), (21, "regression")])
def test_whole_numbers_are_classes_up_to_20_and_it_is_said(tmp_path: Path, distinct: int, task: str) -> None:
    body = "x,y\n" + "".join(f"{row},{row}\n" for row in range(distinct))
    dataset = read(tmp_path, body.encode())
    assert dataset.task == task
    assert any("'y' holds whole numbers" in warning and task in warning for warning in dataset.warnings)


def test_fractions_are_values_whatever_their_number(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"x,y\n1,0.5\n2,1.5\n3,0.5\n")
    assert (dataset.task, dataset.classes, dataset.warnings) == ("regression", (), ())


def test_a_target_of_one_value_is_told(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"x,y\n1,0.5\n2,0.5\n")
    assert dataset.warnings == ("target 'y' holds one value in every row: there is nothing to learn",)


def test_missing_features_are_counted(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"a,b,c,d,y\n1,,true,,0\nNaN,x,,,1\n3,y,false,,0\n")
    assert columns(dataset) == {
        "a": ("numeric", "integer", 1, 2),
        "b": ("categorical", "text", 1, 2),
        "c": ("boolean", "boolean", 1, 2),
        "d": ("numeric", "float", 3, 0),
        "y": ("numeric", "integer", 0, 2),
    }
    assert "column 'd' has no value in any row" in dataset.warnings


def test_constant_columns_stay_with_a_warning(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"a,b,y\n1,7,0\n2,7,1\n")
    assert [column.type for column in dataset.columns] == ["numeric"] * 3
    assert any("'b'" in warning and "scale 1" in warning for warning in dataset.warnings)


class TestLevels:
    """At most 1,000, unless the column is ignored."""

    BODY = b"a,y\n" + b"".join(b"word%d,%d\n" % (row, row % 2) for row in range(1001))

    def test_more_are_refused_by_name(self, tmp_path: Path) -> None:
        assert "column 'a' has 1001 different values" in refusal(tmp_path, self.BODY)

    def test_the_column_may_be_ignored(self, tmp_path: Path) -> None:
        body = self.BODY.replace(b"a,y", b"a,b,y").replace(b",0", b",3,0").replace(b",1\n", b",4,1\n")
        dataset = read(tmp_path, body, columns={"a": "ignore"})
        assert columns(dataset)["a"][0] == "ignore"

    def test_a_thousand_are_fine(self, tmp_path: Path) -> None:
        dataset = read(tmp_path, self.BODY.rsplit(b"\n", 2)[0] + b"\n")
        levels = dataset.columns[0].levels
        assert levels is not None
        assert levels == tuple(sorted(f"word{row}" for row in range(1000)))

    def test_numbers_are_no_levels(self, tmp_path: Path) -> None:
        body = b"a,y\n" + b"".join(b"%d,%d\n" % (row, row % 2) for row in range(1001))
        assert columns(read(tmp_path, body))["a"][0] == "numeric"
        assert "1001" in refusal(tmp_path, body, columns={"a": "categorical"})


def test_types_can_be_overridden(tmp_path: Path) -> None:
    body = b"code,text,flag,y\n3,1.5,true,30\n1,,false,7\n3,2,true,1\n"
    dataset = read(
        tmp_path, body, columns={"code": "categorical", "flag": "numeric", "text": "ignore", "y": "categorical"}
    )
    assert [column.type for column in dataset.columns] == ["categorical", "ignore", "numeric", "categorical"]
    assert dataset.columns[0].levels == (1, 3)
    assert (dataset.columns[2].minimum, dataset.columns[2].maximum) == (0.0, 1.0)
    assert dataset.classes == (1, 7, 30)
    assert dataset.task == "multiclass"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"z": "ignore"}, "column 'z' is not in the data"),
        ({"y": "ignore"}, "'y' is the target"),
        ({"a": "ignore"}, "only"),
    ],
)
def test_overrides_that_are_refused(tmp_path: Path, overrides: dict[str, str], words: str) -> None:
    assert words in refusal(tmp_path, b"a,y\n1,0\n2,1\n", columns=overrides)


def test_dates_are_levels_as_they_are_written(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"a,b,y\n2026-11-25,25:59,0\n2026-01-02,09:30,1\n")
    assert dataset.columns[0].levels == ("2026-01-02", "2026-11-25")
    assert columns(dataset)["b"][0] == "categorical"


def test_quoted_line_breaks_are_no_rows(tmp_path: Path) -> None:
    dataset = read(tmp_path, b'a,y\n"two\nlines",0\n"a ""quote"", a comma",1\n')
    assert dataset.rows == 2
    assert dataset.columns[0].levels == ('a "quote", a comma', "two\nlines")


def test_negative_zero_is_zero(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"a,y\n-0.0,1\n0.0,2\n1.5,1\n")
    assert dataset.columns[0].levels == (0.0, 1.5)


class TestParquet:
    def test_every_plain_type_is_read(self, tmp_path: Path) -> None:
        table = pa.table(
            {
                "small": pa.array([1, None, 3], pa.int8()),
                "huge": pa.array([2**64 - 1, 0, 1], pa.uint64()),
                "half": pa.array(np.array([1, np.nan, 2], np.float16)),
                "money": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("2.50")]),
                "word": pa.array(["b", "a", "b"]).dictionary_encode(),
                "day": pa.array([datetime.date(2026, 11, 25), datetime.date(2026, 1, 2), None]),
                "flag": [True, False, True],
                "nothing": pa.nulls(3),
                "__index_level_0__": [7, 8, 9],
                "y": [0.5, 1.5, 2.5],
            }
        )
        dataset = read(tmp_path, parquet_bytes(table), form="parquet")
        assert columns(dataset) == {
            "small": ("numeric", "integer", 1, 2),
            "huge": ("numeric", "float", 0, 3),
            "half": ("numeric", "float", 1, 2),
            "money": ("numeric", "float", 1, 2),
            "word": ("categorical", "text", 0, 2),
            "day": ("categorical", "text", 1, 2),
            "flag": ("boolean", "boolean", 0, 2),
            "nothing": ("numeric", "float", 3, 0),
            "y": ("numeric", "float", 0, 3),
        }

    def test_a_nested_column_is_named(self, tmp_path: Path) -> None:
        table = pa.table({"a": [[1], [2, 3]], "y": [0, 1]})
        assert "column 'a' is of type list" in refusal(tmp_path, parquet_bytes(table), form="parquet")

    def test_bytes_of_another_kind_are_refused(self, tmp_path: Path) -> None:
        assert "cannot be read as parquet" in refusal(tmp_path, b"PAR1 not", form="parquet")

    def test_a_file_that_lost_its_middle_is_refused(self, tmp_path: Path) -> None:
        whole = parquet_bytes(pa.table({"a": list(range(1000)), "y": [0, 1] * 500}))
        refusal(tmp_path, whole[:100] + b"\xff" * 400 + whole[500:], form="parquet")

    def test_a_bomb_is_too_large(self, data_room: DataRoom) -> None:
        letters = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * (1 << 20)]))
        body = parquet_bytes(pa.table({"a": letters, "y": [0, 1] * 1000}))
        assert len(body) < 1 << 20
        with pytest.raises(TooLarge):
            data_room.add(body, content_type=PARQUET)
        assert data_room.files() == set()


class TestNpz:
    def test_x_and_y(self, tmp_path: Path) -> None:
        body = npz(X=np.arange(6, dtype=">f4").reshape(3, 2, order="F"), y=np.array(["b", "a", "b"]))
        dataset = read(tmp_path, body, form="npz")
        assert columns(dataset) == {
            "x0": ("numeric", "float", 0, 3),
            "x1": ("numeric", "float", 0, 3),
            "y": ("categorical", "text", 0, 2),
        }

    def test_one_array_a_column(self, tmp_path: Path) -> None:
        body = npz(age=np.array([30, 40]), name=np.array([b"ann", b"bob"]), y=np.array([[True], [False]]))
        dataset = read(tmp_path, body, form="npz")
        assert columns(dataset) == {
            "age": ("numeric", "integer", 0, 2),
            "name": ("categorical", "text", 0, 2),
            "y": ("boolean", "boolean", 0, 2),
        }
        assert dataset.classes == (False, True)

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({"X": np.zeros((3, 2)), "y": np.zeros(2)}, "array 'y' has 2 rows"),
            ({"X": np.zeros((3, 2, 2)), "y": np.zeros(3)}, "array 'X' has shape (3, 2, 2)"),
            ({"a": np.zeros(2, complex), "y": np.arange(2)}, "array 'a' holds complex128"),
            ({"a": np.array([{}, {}]), "y": np.arange(2)}, "array 'a' holds object"),
            ({"a": np.array(1.0), "y": np.arange(2)}, "array 'a' has shape ()"),
            ({}, "no array"),
        ],
    )
    def test_arrays_that_are_refused(self, tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
        assert words in refusal(tmp_path, npz(**arrays), form="npz")

    def test_a_pickle_is_never_opened(self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        trap = tmp_path_factory.mktemp("trap") / "sprung"

        class Trap:
            def __reduce__(self) -> Any:
                return Path.touch, (trap,)

        refusal(tmp_path, npz(a=np.array([Trap(), 1], dtype=object), y=np.arange(2)), form="npz")
        assert not trap.exists()

    def test_a_bomb_is_too_large(self, data_room: DataRoom) -> None:
        body = npz(X=np.zeros((300, 1 << 17)), y=np.arange(300))
        assert len(body) < 1 << 20
        with pytest.raises(TooLarge):
            data_room.add(body, content_type=NPZ)

    def test_an_array_that_claims_more_than_it_has_is_refused(self, tmp_path: Path) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
            archive.writestr("y.npy", header.getvalue())
        assert "array 'y' claims shape" in refusal(tmp_path, file.getvalue(), form="npz")

    def test_bytes_of_another_kind_are_refused(self, tmp_path: Path) -> None:
        assert "cannot be read as npz" in refusal(tmp_path, b"PK\x03\x04 not", form="npz")


def through_the_child(source: BinaryIO, parsed: BinaryIO, limits: Limits = LIMITS, form: str = "csv") -> dict[str, Any]:
    return ingest(source, parsed, form=form, target="y", overrides={}, limits=limits)


@contextmanager
def endless() -> Iterator[BinaryIO]:
    """An upload whose bytes never come."""
    reading, writing = os.pipe()
    with open(reading, "rb") as source, open(writing, "wb"):
        yield source


@contextmanager
def holding(body: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as source:
        source.write(body)
        source.flush()
        yield source


class TestLimits:
    def test_text_that_expands_beyond_memory_is_too_large(self, tmp_path: Path) -> None:
        body = b"a,y\n" + b"1,0\n2,1\n" * (2 << 20)  # 8 bytes a value, of 2 in the file
        with holding(body) as source, holding(b"") as parsed, pytest.raises(TooLarge):
            through_the_child(source, parsed, Limits(32 << 20, 60.0))

    def test_columns_that_take_more_as_a_file_than_in_memory_are_too_large(self) -> None:
        numbers = np.random.default_rng(0)
        bits = numbers.integers(0, 1 << 62, 200_000, np.uint64).view(np.float64)
        table = pa.table({"x": bits, "y": numbers.integers(0, 2, 200_000) == 1})  # what no compression makes smaller
        with holding(parquet_bytes(table)) as source, holding(b"") as parsed:
            with pytest.raises(TooLarge, match=f"more than the {table.nbytes} bytes"):
                through_the_child(source, parsed, Limits(table.nbytes, 60.0), "parquet")
            assert through_the_child(source, parsed, Limits(2 * table.nbytes, 60.0), "parquet")["rows"] == 200_000

    def test_a_full_disk_is_not_the_uploads_fault(self) -> None:
        full = pytest.raises(StoreUnavailable, match="No space left on device")
        with holding(b"a,y\n1,0\n2,1\n") as source, open("/dev/full", "wb") as parsed, full:
            through_the_child(source, parsed)

    def test_a_reader_that_hangs_is_ended(self) -> None:
        with endless() as source, holding(b"") as parsed, pytest.raises(TooLarge, match="more than the 2 seconds"):
            through_the_child(source, parsed, Limits(64 << 20, 2.0))
        assert not any(map(_reads, psutil.Process().children()))

    def test_a_reader_that_dies_is_bad_data_and_logged(self) -> None:
        logs, files = structlog.testing.capture_logs(), (endless(), holding(b""))
        with logs as logged, ThreadPoolExecutor(1) as thread, files[0] as source, files[1] as parsed:
            asked = thread.submit(through_the_child, source, parsed)
            _reader_of(psutil.Process()).send_signal(signal.SIGSEGV)
            with pytest.raises(BadData, match="its reader broke off"):
                asked.result()
        assert [(line["log_level"], line["code"]) for line in logged] == [("warning", -signal.SIGSEGV)]

    def test_a_reader_dies_with_who_asked(self) -> None:
        call = (
            "from tests.service.test_ingest import *\nwith endless() as s, holding(b'') as p: through_the_child(s, p)"
        )
        with subprocess.Popen([sys.executable, "-c", call]) as asker:
            reader = _reader_of(psutil.Process(asker.pid))
            asker.kill()
        reader.wait(timeout=10)

    def test_a_reader_whose_asker_is_gone_already_reads_nothing(self) -> None:
        order = strict_json.encode({"parent": 0, "source": "/dev/null", "limits": {}})
        asked = [sys.executable, "-m", "service.ingest"]
        done = subprocess.run(asked, input=order.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def _reader_of(parent: psutil.Process) -> psutil.Process:
    """The reading child once it has begun to read, which is after it has bound its life to its parent's."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in parent.children():
            if _reads(child) and _imported_arrow(child):
                return child
        time.sleep(0.02)
    raise AssertionError("no reader was started")


def _reads(process: psutil.Process) -> bool:
    """Whether it is a reader; a child of some other test that has ended, and waits to be reaped, is none."""
    with suppress(psutil.NoSuchProcess):  # what a zombie is to psutil, too
        return "service.ingest" in process.cmdline()
    return False


def _imported_arrow(process: psutil.Process) -> bool:
    return any("pyarrow" in region.path for region in process.memory_maps())


# Arrow cannot hand over a row that is both too short and no UTF-8; what it says of that beside its error is no matter.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.sampled_from(["csv", "parquet", "npz"]))
def test_any_bytes_are_answered(tmp_path: Path, body: bytes, form: str) -> None:
    words = refusal(tmp_path, body, form=form, target="no such column")
    words.encode()


def test_what_no_reader_foresees_is_bad_data_through_the_child(data_room: DataRoom) -> None:
    assert "cannot be read as parquet" in refused_upload(data_room, b"PAR1 not", content_type=PARQUET)


def test_the_formats_are_those_of_the_contract() -> None:
    assert set(FORMATS) == {CSV, PARQUET, NPZ}
