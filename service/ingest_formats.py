"""CSV, Parquet and NPZ to one Arrow table, as the bytes have it. Runs in the limited child; judges no column.

Rows are counted from 1; the header of a CSV file is not one of them.
"""

from __future__ import annotations

import codecs
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv, parquet

from service.errors import BadData, TooLarge
from service.ingest_types import MAX_COLUMNS, check_names

Reader = Callable[[Path, str, int], pa.Table]

_BLOCK_BYTES = 16 << 20  # a row must fit into a block
_BATCH_ROWS = 1 << 16
_FIRST_LINE_BYTES = 1 << 16  # as much of it as tells
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_csv(path: Path, target: str, limit_bytes: int) -> pa.Table:
    """A CSV file: UTF-8, commas, names in its first line, types that hold in every row.

    Dates stay as they are written, and a target written as +1 and -1 stays whole, where Arrow takes the sign for a
    fraction's. Raises: BadData, TooLarge.
    """
    with path.open("rb") as file:
        _check_first_line(file.read(_FIRST_LINE_BYTES))
    table = _parse_csv(path, {})
    header = table.column_names
    names = check_names(header)
    as_text = {field.name for field in table.schema if pa.types.is_temporal(field.type)}
    signed = [place for place, name in enumerate(names) if name == target and _whole_floats(table.column(place))]
    as_text |= {header[place] for place in signed}
    if as_text:
        written = _parse_csv(path, dict.fromkeys(as_text, pa.string()))
        for place in signed:
            found = _as_integers(written.column(place))
            written = written.set_column(place, header[place], table.column(place) if found is None else found)
        table = written
    return _capped(table.rename_columns(names), limit_bytes)


def read_parquet(path: Path, target: str, limit_bytes: int) -> pa.Table:
    """A Parquet file, read batch by batch, so that what expands beyond the limit is noticed on the way.

    Raises: BadData, TooLarge.
    """
    with parquet.ParquetFile(path, memory_map=True) as file:
        schema = file.schema_arrow
        names = check_names(schema.names)
        batches, size = [], 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            size += batch.nbytes
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            batches.append(batch)
    table = pa.Table.from_batches(batches, schema=schema.remove_metadata()).rename_columns(names)
    index = [name for name in names if _PANDAS_INDEX.fullmatch(name)]  # row numbers, which would be learned from
    return table.drop_columns(index)


def read_npz(path: Path, target: str, limit_bytes: int) -> pa.Table:
    """An NPZ file: arrays X (rows, columns) and y (rows,), or one array a column. Never a pickled object.

    Raises: BadData, TooLarge.
    """
    arrays = _load_npz(path, limit_bytes)
    columns: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if name == "X" and array.ndim == 2 and set(arrays) == {"X", "y"}:
            columns |= {f"x{number}": array[:, number] for number in range(array.shape[1])}
        else:
            columns[name] = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    for name, array in columns.items():
        if array.ndim != 1:
            raise BadData(f"array {name!r} has shape {array.shape}; allowed: X (rows, columns) with y, or (rows,) each")
    lengths = {name: len(array) for name, array in columns.items()}
    if len(set(lengths.values())) > 1:
        few, many = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise BadData(f"array {few!r} has {lengths[few]} rows, {many!r} has {lengths[many]}; allowed: the same number")
    names = check_names(list(columns))
    return _capped(pa.table([_to_arrow(name, array) for name, array in columns.items()], names=names), limit_bytes)


READERS: Mapping[str, Reader] = {"csv": read_csv, "parquet": read_parquet, "npz": read_npz}


def _check_first_line(start: bytes) -> None:
    """Refuse what Arrow would take for a file of one column, and speak of later."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadData("the text is in UTF-16; allowed: UTF-8")
    line = re.split(rb"[\r\n]", start, maxsplit=1)[0].removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    separator = next((mark for mark in ";\t" if mark in line), None)
    if separator is not None and "," not in line:
        detail = f"the header names one column, {line[:100]!r}"
        raise BadData(f"{detail}: is the file separated by {separator!r}? allowed: values separated by commas")


def _parse_csv(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    broken: list[Any] = []

    def remember(row: Any) -> Literal["error"]:
        broken.append(row)
        return "error"

    try:
        return csv.read_csv(
            str(path),
            read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=remember),
            convert_options=csv.ConvertOptions(
                column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        if not broken:
            raise
    row = broken[0]
    where = "a row" if row.number is None else f"row {row.number - 1}"
    detail = f"{where} has {row.actual_columns} value(s), the header names {row.expected_columns} columns"
    raise BadData(f"{detail} (or a quote is not closed): {row.text[:100]!r}")


def _whole_floats(column: pa.ChunkedArray[Any]) -> bool:
    if not pa.types.is_floating(column.type):
        return False
    values = column.drop_null()
    return len(values) > 0 and pc.all(pc.equal(values, pc.trunc(values))).as_py() is True


def _as_integers(written: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any] | None:
    unsigned = pc.replace_substring_regex(pc.utf8_trim_whitespace(written), pattern=r"^\+", replacement="")
    try:
        return unsigned.cast(pa.int64())
    except pa.ArrowInvalid:  # written as 1.0, or too large
        return None


def _load_npz(path: Path, limit_bytes: int) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > limit_bytes:
            raise _too_large(limit_bytes)
        if len(members) > MAX_COLUMNS:
            raise BadData(f"the file has {len(members)} arrays; allowed: at most {MAX_COLUMNS}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise BadData(f"array {name!r} is there twice; allowed: each name once")
            with archive.open(member) as file:
                _check_header(name, file, member.file_size)
            with archive.open(member) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    if not arrays:
        raise BadData("the file has no array; allowed: X and y, or one array a column")
    return arrays


def _check_header(name: str, file: Any, size_bytes: int) -> None:
    """An array may not claim more than its member holds: NumPy would make room for it first."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject or dtype.names or dtype.kind not in "biufUS":
        raise BadData(f"array {name!r} holds {dtype}; allowed: numbers, booleans and text")
    if math.prod(shape) * dtype.itemsize > size_bytes:
        raise BadData(f"array {name!r} claims shape {shape}, more than the {size_bytes} bytes that it has")


def _to_arrow(name: str, array: NDArray[Any]) -> pa.Array[Any]:
    kind = array.dtype.kind
    if kind == "S":
        array = np.char.decode(array, "utf-8")
    if kind in "US":
        return pa.array(array.tolist(), pa.string())
    if kind == "f":
        array = array.astype(np.float64)
    found: pa.Array[Any] = pa.array(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))
    return found


def _capped(table: pa.Table, limit_bytes: int) -> pa.Table:
    if table.nbytes > limit_bytes:
        raise _too_large(limit_bytes)
    return table


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"the upload holds more than the {limit_bytes} bytes that it may expand to")
