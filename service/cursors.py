"""Pages of lists and the opaque cursors that continue them. Knows no store: a cursor is a place in an order.

A cursor holds the position of the last item given and a digest of the list and filter that it belongs to, so that
one of another list is refused and not silently misread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.errors import FieldError, InvalidRequest

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

Scope = tuple[str | None, ...]  # the list's name, its owner, its filters


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items of a list, and how to get the next ones; None: there are none."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(position: int, scope: Scope) -> str:
    """The cursor that goes on after `position` in the list that `scope` names."""
    return base64.urlsafe_b64encode(f"{position}.{_digest(scope)}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str, scope: Scope) -> int:
    """The position that a cursor of this very list holds.

    Raises: InvalidRequest naming `cursor` when it is broken or belongs to another list or filter.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise _bad_cursor(cursor) from None
    found = re.fullmatch(r"(0|[1-9]\d{0,15})\.[0-9a-f]{16}", text, re.ASCII)
    if found is None or encode_cursor(int(found[1]), scope) != cursor:
        raise _bad_cursor(cursor)
    return int(found[1])


def check_limit(limit: int) -> int:
    """The limit, when a page may be that long.

    Raises: InvalidRequest naming `limit`.
    """
    if 1 <= limit <= MAX_LIMIT:
        return limit
    allowed = f"a whole number from 1 to {MAX_LIMIT}"
    error = FieldError("/limit", limit, "out of range", allowed)
    raise InvalidRequest(f"limit is {limit}; allowed is {allowed}", errors=[error])


def _digest(scope: Scope) -> str:
    return hashlib.sha256(repr(scope).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _bad_cursor(cursor: str) -> InvalidRequest:
    allowed = "the next_cursor of an earlier page of the same list with the same filters"
    error = FieldError("/cursor", cursor[:100], "not a cursor of this list and filter", allowed)
    return InvalidRequest(
        f"cursor {cursor[:100]!r} is not one of this list and filter; allowed is {allowed}", errors=[error]
    )
