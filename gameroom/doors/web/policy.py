"""What browsers may do with what we serve: the Content-Security-Policy of pages and of strangers' engines.

A stranger's code runs in a document with an opaque origin: `sandbox allow-scripts`.
There `'self'` may match nothing, so our own host stands in these policies by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "gameroom",
}
"""Headers of every answer that has no others of these names."""


def is_host(text: str) -> bool:
    """Whether this is a host with or without a port, and nothing that would mean more in a header or a URL."""
    return _HOST.fullmatch(text) is not None


def _origins(hosts: Iterable[str]) -> list[str]:
    """Both schemes of our hosts: behind a proxy that speaks TLS we do not know which of them the browser sees."""
    return [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]


def page_policy(hosts: Iterable[str]) -> str:
    """For our own pages. They may frame engines from anywhere, each in a sandbox."""
    sockets = " ".join(origin.replace("http", "ws", 1) for origin in _origins(hosts))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self' {sockets}; frame-src 'self' http: https:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def sandbox_policy(hosts: Iterable[str], *folders: str, scripts_from: str = "") -> str:
    """For a stranger's engine or page: scripts, in an origin of its own, and nothing from anywhere but these folders of ours.

    `scripts_from` are further sources for scripts alone.
    """
    origins = _origins(hosts)
    sources = " ".join(origin + folder for folder in folders for origin in origins)
    return (
        "sandbox allow-scripts allow-pointer-lock; default-src 'none'; "
        f"script-src {sources} {scripts_from} 'unsafe-inline' 'unsafe-eval' blob: data:; style-src {sources} 'unsafe-inline'; "
        f"img-src {sources} data: blob:; media-src {sources} data: blob:; font-src {sources} data:; "
        f"connect-src {sources} data: blob:; worker-src blob: data:; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors 'self' {' '.join(origins)}"
    )
