"""Where a service is and who asks: addresses and keys as people write them. Knows no connection."""

from __future__ import annotations

import ipaddress

import httpx

from deltaq.errors import InvalidInput


def normal_url(url: str) -> str:
    """The service's address with its scheme and without a final slash.

    Raises: InvalidInput where it is no http or https address.
    """
    text = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parsed = httpx.URL(text)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput(f"{url!r} is no address of a service: expected something like http://127.0.0.1:8000")
    return text.rstrip("/")


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
