"""What things may be called by those who make them. Knows nothing of what has a name already."""

from __future__ import annotations

from collections.abc import Collection

from service import strict_json
from service.errors import BadData, DeltaqError, FieldError
from service.ids import Kind, is_id

NAME_LENGTH = 200
_ALLOWED = f"1 to {NAME_LENGTH} printable characters, no / or \\, no dot or space first, no space last, not like an id"


def check_name(
    name: str,
    what: str = "a data set",
    kind: Kind = "ds",
    *,
    taken: Collection[str] = (),
    error: type[DeltaqError] = BadData,
) -> None:
    """Refuse a name that could not be shown, typed in a URL, or told from an id; `taken` are words of the API.

    Raises: BadData, or the error that is given.
    """
    plain = name.isprintable() and name == name.strip() and not set(name) & set("/\\") and not name.startswith(".")
    if not (plain and 1 <= len(name) <= NAME_LENGTH) or is_id(kind, name) or name in taken:
        allowed = ", ".join([_ALLOWED, *(f"not {word!r}" for word in taken)])
        shown = shortened(name)
        field = FieldError("/name", shown, f"not a name for {what}", allowed)
        raise error(f"name {shown!r} cannot name {what}; allowed: {allowed}", errors=[field])


def shortened(text: str) -> str:
    """The beginning of a text, as it can be answered."""
    return strict_json.printable(text[:NAME_LENGTH])
