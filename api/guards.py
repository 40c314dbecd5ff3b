"""Who may reach the API through a browser: no foreign Host (DNS rebinding), no change from another site's page."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from api.auth import SAFE_METHODS, is_loopback
from service.errors import Forbidden
from service.settings import Settings


class BrowserGuard:
    """The check of Host, Origin and Sec-Fetch-Site."""

    def __init__(self, settings: Settings) -> None:
        self._names = {name.lower() for name in settings.allowed_hosts} | {settings.host.lower()}
        # An address cannot be rebound to another; probes of an orchestrator ask by address.
        self._any_address = not is_loopback(settings.host)

    def check(self, method: str, headers: Mapping[str, str]) -> None:
        """Let a request pass. Raises: Forbidden."""
        host = headers.get("host", "")
        if not self._is_ours(host_name(host)):
            raise Forbidden(
                f"Host {host[:200]!r} is not one that this service answers to",
                hint="reach it by a loopback address, or name the host in DELTAQ_ALLOWED_HOSTS",
            )
        if method not in SAFE_METHODS:
            _check_origin(host, headers)

    def _is_ours(self, name: str) -> bool:
        return is_loopback(name) or name in self._names or (self._any_address and _is_address(name))


def _check_origin(host: str, headers: Mapping[str, str]) -> None:
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        raise Forbidden(f"Origin {origin[:200]!r} may change nothing here: only pages of {host[:200]!r} may")
    site = headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise Forbidden(f"a page of another site may change nothing here (Sec-Fetch-Site: {site[:50]!r})")


def host_name(host: str) -> str:
    """Return a Host header's name or address without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
