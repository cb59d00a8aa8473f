"""Which web pages may speak to us: a browser says from which origin a page came."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def same_host(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from the host and port that it now asks. All names of the loopback are one."""
    try:
        asked = urlsplit(f"//{host}")
        page = urlsplit(origin)
        default = {"http": 80, "https": 443}.get(page.scheme)
        if default is None or not page.hostname or not asked.hostname:
            return False
        ports = page.port or default, asked.port or default
    except ValueError:
        return False
    names = {page.hostname, asked.hostname}
    return ports[0] == ports[1] and (len(names) == 1 or names <= _LOOPBACK)


def may_come_from(origin: str, host: str, allowed: Iterable[str]) -> bool:
    """Whether a browser's page of this `Origin` may open a socket here; `null`, an opaque origin, never may."""
    return same_host(origin, host) or (origin != "null" and origin.rstrip("/").lower() in {each.rstrip("/").lower() for each in allowed})
