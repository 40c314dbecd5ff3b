"""The API's lists, page by page. Knows cursors; not what is listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from deltaq.connection import Connection, Params
from deltaq.errors import InvalidInput

PAGE = 500  # the most that the API gives at once


def items(
    connection: Connection, path: str, params: Params | None = None, *, limit: int | None = None
) -> Iterator[Any]:
    """Yield the documents of a list in the API's order, at most `limit` of them; None: all."""
    left, cursor = limit, None
    while left is None or left > 0:
        size = PAGE if left is None else min(left, PAGE)
        page = connection.call("GET", path, params={**(params or {}), "limit": size, "cursor": cursor})
        yield from page["items"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return
        left = None if left is None else left - len(page["items"])


def address(*parts: str) -> str:
    """A path below /v1 in which each part is one segment, such as an id or a name.

    Raises: InvalidInput for what cannot be one: empty, or with a slash, or what paths are written relative with.
    """
    for part in parts:
        if part in ("", ".", "..") or "/" in part:
            raise InvalidInput(
                f"{part!r} is no id and no name: expected are one or more characters, none of them a slash"
            )
    return "/".join(("/v1", *(quote(part, safe="") for part in parts)))
