"""Moments as people and programs read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_LONGEST = 64
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(unix_ms: int) -> str:
    """Milliseconds of Unix time as RFC 3339 in UTC, as `2026-01-31T09:30:00.000Z`."""
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds_of(text: str) -> int | None:
    """The moment that `text` tells in RFC 3339, in whichever zone, rounded up to a millisecond; None for anything else."""
    if len(text) > _LONGEST or not _RFC_3339.fullmatch(text):
        return None
    try:
        since = datetime.fromisoformat(text.upper()) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return -(-since // timedelta(milliseconds=1))
