"""Query parameters and headers that several routes take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query
from pydantic import Field, StringConstraints

from service.cursors import DEFAULT_LIMIT, MAX_LIMIT

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description=f"Items a page; {DEFAULT_LIMIT} when left out")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]
LastEventID = Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)]
LastEventIDInQuery = Annotated[
    str | None, Query(alias="last_event_id", max_length=100, description="As the header, which goes first")
]
IDEMPOTENCY_KEY = "Idempotency-Key"
KEY_PATTERN = r"^[ -~]{1,255}$"
_ASCII = "1 to 255 printable ASCII characters"
IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(pattern=KEY_PATTERN), Field(description=_ASCII)] | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        description=f"{_ASCII}; kept 24 h: the same key and spec again give the same job, or sweep",
    ),
]
