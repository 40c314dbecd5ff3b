"""A moment in a spec, as text. Knows nothing of what happens then."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

ALLOWED = "a time with its offset, such as 2027-01-31T09:00:00Z, from 1971 to 9998 (RFC 3339)"
_FORM = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$"


def moment_of(text: str) -> datetime:
    """The moment that a text in this form means. Raises: ValueError where there is none."""
    return datetime.fromisoformat(text.upper())


def _is_one(text: str) -> str:
    try:
        moment = moment_of(text)
    except ValueError:
        raise ValueError(ALLOWED) from None
    if not 1971 <= moment.year <= 9998:  # whatever the offset, it is one in UTC, too
        raise ValueError(ALLOWED)
    return text


Moment = Annotated[str, StringConstraints(pattern=_FORM), AfterValidator(_is_one), Field(description=ALLOWED)]
