"""Problem documents (RFC 9457): bounded in size and strict JSON, whatever the input they speak of.

They must not know HTTP frameworks, and must not raise: an answer about bad input that fails is worse than the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.responses import dumps
from service.errors import FieldError

MAX_BYTES = 16 * 1024
MAX_ERRORS = 64
MAX_DETAIL_CHARACTERS = 1000
MAX_POINTER_CHARACTERS = 300
MAX_VALUE_CHARACTERS = 200
MAX_MEMBERS = 64

MAX_SAFE_INTEGER = 2**53


@dataclass(frozen=True)
class Problem:
    """What went wrong, before it is written."""

    status: int
    title: str
    detail: str
    type: str = "about:blank"
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)  # beside those of the RFC


def document(problem: Problem) -> bytes:
    """Write the problem in at most MAX_BYTES; the errors that do not fit are left off, the last ones first."""
    errors = [_entry(error) for error in problem.errors[:MAX_ERRORS]]
    while True:
        body = dumps(
            {
                "type": problem.type,
                "title": problem.title,
                "status": problem.status,
                "detail": text(problem.detail, MAX_DETAIL_CHARACTERS),
                "errors": errors,
                **problem.members,
            }
        )
        if len(body) <= MAX_BYTES or not errors:
            return body
        errors = errors[: len(errors) // 2]


def _entry(error: FieldError) -> dict[str, Any]:
    return {
        "pointer": text(error.pointer, MAX_POINTER_CHARACTERS),
        "value": echo(error.value),
        "detail": text(error.detail, MAX_DETAIL_CHARACTERS),
        "allowed": _allowed(error.allowed),
    }


def text(value: str, characters: int) -> str:
    """Cut `value` to `characters`, and make it encodable: a lone surrogate becomes a question mark."""
    cut = value if len(value) <= characters else value[: characters - 1] + "…"
    return cut.encode("utf-8", "replace").decode("utf-8")


def echo(value: Any) -> Any:
    """Return what may be sent back of a refused value: itself where it is short, else what it was."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_SAFE_INTEGER else "an integer beyond 2^53"
    if isinstance(value, float):
        return value
    if isinstance(value, str):
        return text(value, MAX_VALUE_CHARACTERS)
    if isinstance(value, (list, tuple)):
        flat = _flat_list(value)
        return f"a list of {len(value)}" if flat is None else flat
    if isinstance(value, Mapping):
        return f"an object of {len(value)} fields"
    return f"a {text(type(value).__name__, 50)}"


def _flat_list(value: Sequence[Any]) -> list[Any] | None:
    """Return the list where it is short and of single values, so that no deep or large one is walked."""
    if len(value) > 16 or any(isinstance(item, (list, tuple, Mapping)) for item in value):
        return None
    return [echo(item) for item in value]


def _allowed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {text(str(key), 100): echo(item) for key, item in list(value.items())[:MAX_MEMBERS]}
    if isinstance(value, (list, tuple, set, frozenset)):
        members = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [echo(item) for item in list(members)[:MAX_MEMBERS]]
    return text(value, MAX_DETAIL_CHARACTERS) if isinstance(value, str) else echo(value)
