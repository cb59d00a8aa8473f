"""What browsers may do with what we serve: the Content-Security-Policy of pages and of strangers' engines.

A stranger's code runs in a document with an opaque origin: `sandbox allow-scripts`.
There `'self'` may match nothing, so our own host stands in these policies by its name.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

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


def _hosts(base: str) -> str:
    """Both schemes of our host: behind a proxy that speaks TLS we do not know which of them the browser sees."""
    host = urlsplit(base).netloc
    return f"http://{host} https://{host}"


def page_policy(base: str) -> str:
    """For our own pages. They may frame engines from anywhere, each in a sandbox."""
    host = urlsplit(base).netloc
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self' ws://{host} wss://{host}; frame-src 'self' http: https:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def sandbox_policy(base: str, *folders: str, scripts_from: str = "") -> str:
    """For a stranger's engine or page: scripts, in an origin of its own, and nothing from anywhere but these folders of ours.

    `scripts_from` are further sources for scripts alone.
    """
    sources = " ".join(f"{host}{folder}" for folder in folders for host in _hosts(base).split())
    return (
        "sandbox allow-scripts allow-pointer-lock; default-src 'none'; "
        f"script-src {sources} {scripts_from} 'unsafe-inline' 'unsafe-eval' blob: data:; style-src {sources} 'unsafe-inline'; "
        f"img-src {sources} data: blob:; media-src {sources} data: blob:; font-src {sources} data:; "
        f"connect-src {sources} data: blob:; worker-src blob: data:; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors 'self' {_hosts(base)}"
    )
