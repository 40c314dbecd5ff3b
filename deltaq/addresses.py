"""Where a service is and who asks: addresses and keys as people write them, or `deltaq up`. Knows no connection."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import httpx
import orjson

from deltaq.errors import InvalidInput


def normal_url(url: str) -> str:
    """The service's address with its scheme, and without a final slash or the /v1 that every path begins with.

    Raises: InvalidInput where it is no http or https address.
    """
    text = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parsed = httpx.URL(text)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput(f"{url!r} is no address of a service: expected something like http://127.0.0.1:8000")
    return text.rstrip("/").removesuffix("/v1").rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def authorization(api_key: str | None) -> dict[str, str]:
    """The header that carries a key.

    Raises: InvalidInput, without showing the key, where no header could carry it.
    """
    key = (api_key or "").strip()
    if not key.isascii() or not key.isprintable():
        raise InvalidInput("the API key holds a character that no key has: is DELTAQ_API_KEY set as it was printed?")
    return {"Authorization": f"Bearer {key}"} if key else {}


def service_here() -> str | None:
    """Where the service of this user's data directory says that it is; None where none says so.

    The file is there while `deltaq up` runs, and outlives one that was killed: it is a hint, no promise.
    """
    data_dir = Path(os.environ.get("DELTAQ_DATA_DIR") or Path.home() / ".deltaq")
    try:
        return str(orjson.loads((data_dir / "service.json").read_bytes())["url"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, RuntimeError):  # RuntimeError: nobody's home
        return None
