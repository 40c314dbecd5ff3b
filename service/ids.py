"""The names of things that users meet: a kind and 20 random characters. Knows nothing of what they name.

An id from outside is held against the pattern before it gets near a key or a path.
"""

from __future__ import annotations

import re
import secrets
from typing import Literal

Kind = Literal["job", "ds", "model", "sweep"]

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # base32: 20 characters hold 100 random bits
_LENGTH = 20


def new_id(kind: Kind) -> str:
    """A fresh id such as `job-4xk2…`; two are never the same."""
    bits = secrets.randbits(5 * _LENGTH)
    return f"{kind}-" + "".join(_ALPHABET[bits >> shift & 31] for shift in range(0, 5 * _LENGTH, 5))


def is_id(kind: Kind, text: str) -> bool:
    """Whether `text` has the form of an id of this kind, whatever it may name."""
    return re.fullmatch(rf"{kind}-[a-z2-7]{{{_LENGTH}}}", text, re.ASCII) is not None
