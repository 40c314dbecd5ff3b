"""Pydantic's errors → FieldErrors: true JSON pointers, the value as it came, and what is allowed. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.allowed import Schema
from service.errors import FieldError
from service.strict_json import in_words

Location = Sequence[int | str]

MAX_CONSIDERED = 256  # a list of 100,000 bad items makes as many errors; nobody reads them
_KEY = "[key]"  # pydantic's mark of an error that is one of an object's key


def field_errors(errors: Iterable[Any], body: Any, schemas: Mapping[str, Schema]) -> list[FieldError]:
    """Return one FieldError a place, the innermost ones where a union failed at several depths.

    `errors` are pydantic's, located below "body", "query", "path" or "header" (a pointer begins below these), for each
    of which `schemas` may say what is allowed; `body` is the parsed body.
    """
    found: dict[str, FieldError] = {}
    for error in list(errors)[:MAX_CONSIDERED]:
        made = _field_error(error, body, schemas)
        if error["type"] == "extra_forbidden" and error["loc"][-1] in made.allowed:
            continue  # a field of some name beside a name that is none: that is what is refused
        found.setdefault(made.pointer, made)  # each member of a union has failed, and what is allowed names them all
    return [found[pointer] for pointer in found if not _inner(pointer, found)]


def dotted(pointer: str) -> str:
    """Write a JSON pointer as a name for use in a sentence."""
    return pointer[1:].replace("/", ".").replace("~1", "/").replace("~0", "~")


def json_pointer(parts: Iterable[int | str]) -> str:
    """Write a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _inner(pointer: str, found: Iterable[str]) -> bool:
    return any(other != pointer and other.startswith(f"{pointer}/") for other in found)


def _field_error(error: Any, body: Any, schemas: Mapping[str, Schema]) -> FieldError:
    source, *location = error["loc"]
    missing = error["type"] == "missing"
    parts = _path(location, body, missing) if source == "body" else list(location)
    pointer, value = json_pointer(parts), None if missing else error["input"]
    root = schemas.get(source)
    if error["type"] == "extra_forbidden":
        around = root and root.at(parts[:-1], body if source == "body" else None)
        return FieldError(pointer, value, "there is no such field", around.fields if around else [])
    is_key = location[-1:] == [_KEY]
    allowed = _allowed(root, parts, body if source == "body" else None, is_key=is_key)
    if not allowed:
        allowed = [str(error["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")]
    detail = "this is required" if missing else f"{'as a key it ' if is_key else ''}should be {_listed(allowed)}"
    return FieldError(pointer, value, detail, allowed if len(allowed) > 1 else allowed[0])


def _allowed(root: Schema | None, parts: Location, body: Any, *, is_key: bool) -> list[Any]:
    if root is None:
        return []
    here = root.at(parts[:-1] if is_key else parts, body)
    if here is None:
        return []
    return (here.keys if is_key else here).words()


def _listed(allowed: Sequence[Any]) -> str:
    words = [in_words(word) for word in allowed]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _path(location: Location, body: Any, missing: bool) -> list[int | str]:
    """Keep of pydantic's location what exists in the body: the rest names members of unions."""
    path: list[int | str] = []
    here = body
    for depth, part in enumerate(location):
        if (isinstance(here, dict) and part in here) or (isinstance(here, list) and isinstance(part, int)):
            path.append(part)
            here = here[part]  # type: ignore[index]  # a str of a dict or an int of a list, as just seen
        elif missing and depth == len(location) - 1:
            path.append(part)
    return path
