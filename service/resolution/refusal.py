"""How a spec that cannot be resolved is refused: the field, its value, why not, and what is allowed."""

from __future__ import annotations

from typing import Any, NoReturn

from service.errors import FieldError, InvalidSpec
from service.strict_json import in_words

SHOWN = 20


def refuse(pointer: str, value: Any, detail: str, allowed: Any) -> NoReturn:
    """Refuse a field of the spec: where it is, what it holds, why not, and what is allowed.

    Raises: InvalidSpec.
    """
    field = pointer.strip("/").replace("/", ".")
    shown = list(allowed)[:SHOWN] if isinstance(allowed, list | tuple) else allowed
    text = ", ".join(map(in_words, shown)) if isinstance(shown, list) else shown
    raise InvalidSpec(f"{field}: {detail}; allowed: {text}", errors=[FieldError(pointer, value, detail, shown)])
