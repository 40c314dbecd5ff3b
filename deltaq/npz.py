"""Writes `X` and `y` as NPZ, NumPy's archive of arrays, without NumPy.

An array describes itself by `__array_interface__`; lists of numbers, truth values or text become arrays here.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import io
import zipfile
from array import array
from collections.abc import Sequence
from typing import Any

from deltaq.errors import InvalidInput

_NUMBERS = {bool: ("|b1", "b"), int: ("<i8", "q"), float: ("<f8", "d")}


def archive(arrays: dict[str, Any]) -> bytes:
    """An NPZ archive of the arrays, each under its name.

    Raises: InvalidInput for an array that only pickle could hold, or lists of unequal length.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        for name, values in arrays.items():
            bundle.writestr(f"{name}.npy", npy(name, values))
    return buffer.getvalue()


def npy(name: str, values: Any) -> bytes:
    """One array in the .npy format, version 1.0."""
    if not hasattr(values, "__array_interface__") and hasattr(values, "numpy"):  # torch, tensorflow
        values = values.numpy()
    interface = getattr(values, "__array_interface__", None)
    if interface is not None and interface["typestr"][1] in "biufUS":
        return _header(interface["typestr"], interface["shape"]) + bytes(values.tobytes())
    rows = values.tolist() if hasattr(values, "tolist") else list(values)
    kind, shape, data = _from_list(name, rows)
    return _header(kind, shape) + data


def _header(kind: str, shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    padding = -(10 + len(text) + 1) % 64
    body = (text + " " * padding + "\n").encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def _from_list(name: str, rows: Sequence[Any]) -> tuple[str, tuple[int, ...], bytes]:
    shape: tuple[int, ...] = (len(rows),)
    flat = list(rows)
    if rows and isinstance(rows[0], list | tuple):
        shape = (len(rows), len(rows[0]))
        for number, row in enumerate(rows):
            if not isinstance(row, list | tuple) or len(row) != shape[1]:
                raise InvalidInput(f"{name}: row {number} does not have {shape[1]} values as row 0 has")
        flat = [value for row in rows for value in row]
    return _packed(name, shape, flat)


def _packed(name: str, shape: tuple[int, ...], flat: list[Any]) -> tuple[str, tuple[int, ...], bytes]:
    types = set(map(type, flat))
    if types == {str}:
        width = max(1, *map(len, flat))
        return f"<U{width}", shape, b"".join(text.ljust(width, "\0").encode("utf-32-le", "replace") for text in flat)
    if not types <= set(_NUMBERS) or (bool in types and len(types) > 1):
        found = ", ".join(sorted(kind.__name__ for kind in types))
        raise InvalidInput(f"{name}: expected numbers alone, text alone or truth values alone, found {found}")
    widest = next((kind for kind in (float, int, bool) if kind in types), float)
    kind, code = _NUMBERS[widest]
    return kind, shape, _bytes(name, code, map(widest, flat))


def _bytes(name: str, code: str, values: Any) -> bytes:
    try:
        packed = array(code, values)
    except OverflowError as error:
        raise InvalidInput(f"{name}: a whole number is beyond 64 bits") from error
    if packed.itemsize > 1 and not _LITTLE:
        packed.byteswap()
    return packed.tobytes()


_LITTLE = array("H", [1]).tobytes()[0] == 1
