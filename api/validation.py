"""Pydantic's errors → FieldErrors: true JSON pointers, the value as it came, and what is allowed. Knows no HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from service.errors import FieldError

Location = Sequence[int | str]

_OBJECT = ("model_type", "model_attributes_type", "dict_type")
MAX_CONSIDERED = 256  # a list of 100,000 bad items makes as many errors; nobody reads them


def field_errors(errors: Iterable[Any], body: Any, model: Any) -> list[FieldError]:
    """Return one FieldError a place, the innermost ones where a union failed at several depths.

    `errors` are pydantic's, located below "body", "query", "path" or "header" (a pointer begins below these); `body`
    is the parsed body and `model` the type that it should have had.
    """
    found: dict[str, FieldError] = {}
    for error in list(errors)[:MAX_CONSIDERED]:
        made = _field_error(error, body, model)
        known = found.get(made.pointer)
        found[made.pointer] = made if known is None else _either(known, made)
    return [found[pointer] for pointer in found if not _inner(pointer, found)]


def _either(first: FieldError, second: FieldError) -> FieldError:
    """Join what two members of a union said of one place."""
    allowed = [*_listed(first.allowed), *_listed(second.allowed)]
    return FieldError(first.pointer, first.value, f"{first.detail}, or: {second.detail}", allowed)


def _listed(allowed: Any) -> list[Any]:
    return allowed if isinstance(allowed, list) else [allowed]


def _inner(pointer: str, found: Iterable[str]) -> bool:
    return any(other != pointer and other.startswith(f"{pointer}/") for other in found)


def _field_error(error: Any, body: Any, model: Any) -> FieldError:
    source, *location = error["loc"]
    missing = error["type"] == "missing"
    parts = _path(location, body, missing) if source == "body" else list(location)
    message = "Input should be an object" if error["type"] in _OBJECT else str(error["msg"])
    allowed: Any = message.removeprefix("Input should be ").removeprefix("Value error, ")
    if error["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
    elif error["type"] == "extra_forbidden":
        message, allowed = "There is no such field", _fields(model, parts[:-1])
    elif missing:
        message, allowed = "This is required", "a value"
    return FieldError(json_pointer(parts), None if missing else error["input"], message, allowed)


def json_pointer(parts: Iterable[int | str]) -> str:
    """Write a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


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


def _fields(model: Any, parts: Location) -> list[str]:
    """Return the fields that the object at `parts` may have."""
    here = _model_in(model)
    for part in parts:
        if here is not None and isinstance(part, str) and part in here.model_fields:
            here = _model_in(here.model_fields[part].annotation)
    return list(here.model_fields) if here is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model that an annotation holds, however it is wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_model_in, get_args(annotation)) if model is not None), None)
