"""JSON as everything here stores and answers it: UTF-8, no NaN, no infinity. Knows nothing of what it carries."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson


def encode(value: Any) -> str:
    """The document in one line with sorted keys, so that equal values are equal text; what is not finite is null."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()


def sha256(value: Any) -> str:
    """The SHA-256 of the document, in hex: of equal values the same."""
    return hashlib.sha256(encode(value).encode()).hexdigest()


def decode(text: str | bytes) -> Any:
    """The value of a document that `encode` made."""
    return orjson.loads(text)


def in_words(value: Any) -> str:
    """A value in a sentence: text as it is, a list by its quoted items, anything else as JSON writes it."""
    if isinstance(value, list):
        return ", ".join(map(quoted, value))
    return value if isinstance(value, str) else encode(value)


def quoted(value: Any) -> str:
    """A value in a sentence about it: text in quotes, anything else as JSON writes it, or would."""
    return repr(value) if isinstance(value, str | float) else encode(value)


def printable(text: str) -> str:
    """The text with what UTF-8 cannot carry (lone surrogates) replaced, for words that come from elsewhere."""
    return text.encode("utf-8", "replace").decode()
