"""API keys → tenant and scopes. Knows neither routes nor jobs.

The file is a JSON list of `{"name", "tenant", "scopes": ["read", "write"], "sha256"}`, the hash being that of the key
in hexadecimal. It is read again when it changes; while a change cannot be read, the keys before it stay.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.errors import Forbidden, Misconfigured, Unauthorized
from service.settings import Settings

DEFAULT_TENANT = "default"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Scope = Literal["read", "write"]

log = structlog.get_logger()


class APIKey(BaseModel):
    """One key, by its hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] = DEFAULT_TENANT
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


_KEYS = TypeAdapter(list[APIKey])


@dataclass(frozen=True)
class Principal:
    """Who asks: a tenant, and what the key lets it do."""

    tenant: str
    scopes: frozenset[Scope]

    def check(self, method: str) -> None:
        """Let reads pass with `read` and everything else with `write`. Raises: Forbidden."""
        needed: Scope = "read" if method in SAFE_METHODS else "write"
        if needed not in self.scopes:
            raise Forbidden(f"this needs an API key with the scope {needed!r}; yours has {sorted(self.scopes)}")


OWNER = Principal(DEFAULT_TENANT, frozenset({"read", "write"}))  # whoever reaches loopback, where there are no keys


class KeyRing:
    """The keys that are valid now; without a file, everybody is the owner."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._keys: list[APIKey] = []
        self._seen: tuple[int, ...] = ()
        if path is not None:
            self._seen = _signature(path)
            self._keys = read_keys(path)

    def principal(self, authorization: str | None) -> Principal:
        """Say who sent this Authorization header. Raises: Unauthorized."""
        if self._path is None:
            return OWNER
        self._refresh(self._path)
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("an API key is needed, sent as 'Authorization: Bearer KEY'")
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogatepass")).hexdigest()
        # Every key is compared, each in constant time, so that time tells nothing of any.
        found = [known for known in self._keys if hmac.compare_digest(known.sha256, digest)]
        if not found:
            raise Unauthorized("this API key is not known")
        return Principal(found[0].tenant, found[0].scopes)

    def _refresh(self, path: Path) -> None:
        signature = _signature(path)
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._keys = read_keys(path)
            log.info("API keys read again", path=str(path), keys=len(self._keys))
        except Misconfigured as error:
            log.error("API keys not read again, those before stay", error=error.detail)


def key_ring(settings: Settings) -> KeyRing:
    """Open the keys of this deployment. Raises: Misconfigured, also where no key would guard an open address."""
    if settings.api_keys_file is None and not is_loopback(settings.host):
        raise Misconfigured(
            f"host is {settings.host!r} and there are no API keys: everybody who reaches this address could use it",
            hint="set DELTAQ_API_KEYS_FILE, or DELTAQ_HOST to a loopback address such as 127.0.0.1",
        )
    return KeyRing(settings.api_keys_file)


def read_keys(path: Path) -> list[APIKey]:
    """Read a key file. Raises: Misconfigured saying what is wrong with it, but nothing that it holds."""
    try:
        keys = _KEYS.validate_json(path.read_bytes())
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise Misconfigured(f"API key file {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise Misconfigured(f"API key file {path} is not a list of keys: {where}") from None
    if len({key.sha256 for key in keys}) < len(keys):
        raise Misconfigured(f"API key file {path} has one key twice")
    if mode & 0o077:
        log.warning("the API key file is open to others; it should be 0600", path=str(path), mode=oct(mode))
    return keys


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether an address or name reaches this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _signature(path: Path) -> tuple[int, ...]:
    """What changes when the file does; empty while there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino
