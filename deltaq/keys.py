"""Makes API keys. The service's key file holds only their hashes."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

from deltaq.errors import InvalidInput

SCOPES = ("read", "write")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def new_key(name: str, scopes: list[str], tenant: str) -> tuple[str, dict[str, Any]]:
    """A new key, and its record for the key file.

    Raises: InvalidInput where the service would not take the record.
    """
    if not 1 <= len(name) <= 200:
        raise InvalidInput(f"the name has {len(name)} characters; allowed: 1 to 200")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidInput(f"scopes {','.join(scopes)!r}; allowed: {', '.join(SCOPES)}, or both with a comma")
    if not _TENANT.fullmatch(tenant):
        raise InvalidInput(f"tenant {tenant!r}; allowed: 1 to 64 of a-z, 0-9, _ and -, a letter or digit first")
    key = f"dq_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return key, {"name": name, "tenant": tenant, "scopes": sorted(set(scopes)), "sha256": digest}
