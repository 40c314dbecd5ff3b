"""What is sent, as strict JSON: no number in it but finite ones. Knows nothing of what it carries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from deltaq.errors import InvalidInput

Path = tuple[str | int, ...]


def encode(document: Any) -> bytes:
    """The document as JSON; NumPy's scalars and arrays become plain numbers and lists.

    Raises: InvalidInput for what has no JSON, NaN and infinity among it, by its JSON pointer.
    """
    content = loose(document)
    for path, value in not_finite(document, content):
        raise InvalidInput(f"{pointer(path)}: {value} is not a finite number")
    return content


def loose(document: Any) -> bytes:
    """The document as JSON in which a number that is not finite has become null.

    Raises: InvalidInput for what has no JSON.
    """
    try:
        return orjson.dumps(document, default=_plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except orjson.JSONEncodeError as error:
        raise InvalidInput(f"this cannot be sent as JSON: {error.__cause__ or error}") from error


def not_finite(document: Any, content: bytes) -> Iterator[tuple[Path, float]]:
    """The numbers of a document that are not finite, each with its path; `content` is what `loose` made of it.

    Where no null stands in the content there is none, which spares a walk through a million values.
    """
    return _walk(document, ()) if b"null" in content else iter(())


def pointer(path: Path) -> str:
    """A path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, float]]:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk(inner, (*path, name))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _walk(inner, (*path, number))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON: {value!r}")
