"""Data sets on their way to the service: files as they are, frames as Parquet, arrays as NPZ.

Frames and arrays are known by what they can do, not by their type: no library of theirs is imported here.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltaq.errors import InvalidInput
from deltaq.npz import archive

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
NPZ = "application/x-npz"
TYPES = {".csv": CSV, ".parquet": PARQUET, ".pq": PARQUET, ".npz": NPZ}


@dataclass(frozen=True)
class Upload:
    """What is sent: its type, and a way to make its bytes anew for each try."""

    content_type: str
    size_bytes: int  # said beforehand, so that what is too large is refused before it is sent
    body: Callable[[], bytes | Iterable[bytes]]


def upload(source: Any, target: str | None = None) -> Upload:
    """Make an upload of a path (.csv, .parquet, .npz), a DataFrame, or a pair (X, y).

    Raises: InvalidInput where it is none of them.
    """
    if isinstance(source, str | os.PathLike):
        return _file(Path(source))
    if isinstance(source, tuple) and len(source) == 2:
        return _pair(*source, target=target)
    if hasattr(source, "columns"):
        return _frame(source)
    raise InvalidInput(f"a data set is a path, a DataFrame or a pair (X, y), not a {type(source).__name__}")


def name_of(source: Any) -> str:
    """What a data set is called where nobody says it: as its file, without the ending.

    Raises: InvalidInput where it is no file.
    """
    if isinstance(source, str | os.PathLike):
        return Path(source).stem
    raise InvalidInput(f"a {type(source).__name__} has no name of its own: say what to call it, with name=")


def _file(path: Path) -> Upload:
    kind = TYPES.get(path.suffix.lower())
    if kind is None:
        raise InvalidInput(f"{path}: the name must end in {', '.join(TYPES)}, which says what the file holds")
    if not path.is_file():
        raise InvalidInput(f"{path}: no such file")
    return Upload(kind, path.stat().st_size, lambda: _chunks(path))


def _chunks(path: Path, size: int = 1 << 18) -> Iterable[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk


def _pair(features: Any, labels: Any, *, target: str | None) -> Upload:
    name = target or "y"
    if name in list(getattr(features, "columns", ())):
        raise InvalidInput(f"X has a column {name!r} of its own: name y otherwise, with target=")
    if hasattr(features, "assign"):  # pandas: a frame keeps the names of its columns, and its index does not matter
        return _frame(features.assign(**{name: _values(labels)}))
    if hasattr(features, "with_columns"):  # polars
        if not hasattr(labels, "to_frame"):
            raise InvalidInput(f"the y of a polars DataFrame must be a polars Series, not a {type(labels).__name__}")
        return _frame(features.with_columns(**{name: labels}))
    content = archive({"X": features, "y": labels})
    return Upload(NPZ, len(content), lambda: content)


def _values(labels: Any) -> Any:
    return labels.to_numpy() if hasattr(labels, "to_numpy") else labels


def _frame(frame: Any) -> Upload:
    buffer = io.BytesIO()
    try:
        if hasattr(frame, "write_parquet"):  # polars
            frame.write_parquet(buffer)
        elif hasattr(frame, "to_parquet"):  # pandas, whose columns may be numbers
            frame.rename(columns=str).to_parquet(buffer, index=False)
        else:
            raise InvalidInput(f"a {type(frame).__name__} cannot be written as Parquet: it has no to_parquet")
    except (TypeError, ValueError) as error:  # a column of mixed types, one name twice
        raise InvalidInput(f"the DataFrame cannot be written as Parquet: {error}") from error
    content = buffer.getvalue()
    return Upload(PARQUET, len(content), lambda: content)
