"""What is sent, as strict JSON: no number in it but finite ones. Knows nothing of what it carries."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from deltaq.errors import InvalidInput

Path = tuple[str | int, ...]

_DEEPEST = 254  # levels: orjson refuses more, such as a list that holds itself


def encode(document: Any) -> bytes:
    """The document as JSON; NumPy's scalars and arrays become plain numbers and lists, what has an id its id.

    Raises: InvalidInput for what has no JSON, NaN and infinity among it, by its JSON pointer.
    """
    content = loose(document)
    for path, value in not_finite(document, content):
        raise InvalidInput(f"{pointer(path)}: {value} is not a finite number")
    return content


def pointer(path: Path) -> str:
    """A path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def loose(document: Any, place: Callable[[Path], str] = pointer) -> bytes:
    """The document as JSON in which a number that is not finite has become null; `place` says where a path leads.

    Raises: InvalidInput for what has no JSON, by its JSON pointer.
    """
    try:
        return _dumps(document)
    except orjson.JSONEncodeError as error:
        path, why = _without_json(document, (), error)
        where = f"{place(path)}: " if path else ""
        raise InvalidInput(f"{where}this cannot be sent as JSON: {why.__cause__ or why}") from error


def not_finite(document: Any, content: bytes) -> Iterator[tuple[Path, float]]:
    """The numbers of a document that are not finite, each with its path; `content` is what `loose` made of it.

    Where no null stands in the content there is none, which spares a walk through a million values.
    """
    return _walk(document, ()) if b"null" in content else iter(())


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, float]]:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path, value
    else:
        for part, inner in _parts(value):
            yield from _walk(inner, (*path, part))


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(getattr(value, "id", None), str):  # a job, a data set, a model: the service knows it by that
        return value.id
    raise TypeError(f"a {type(value).__name__} has no JSON: {reprlib.repr(value)}")


def _without_json(value: Any, path: Path, error: Exception) -> tuple[Path, Exception]:
    """The innermost value that has no JSON, the first of several, and why; `error` is why the outer one has none."""
    for part, inner in _parts(value) if len(path) < _DEEPEST else ():
        try:
            _dumps(inner)
        except orjson.JSONEncodeError as inner_error:
            return _without_json(inner, (*path, part), inner_error)
    return path, error


def _parts(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
