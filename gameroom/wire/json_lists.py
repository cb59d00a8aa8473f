"""How many lists and objects JSON of somebody else's may have.

They are what makes JSON dear: read, a mebibyte of small ones takes the time of fifty mebibytes of text, and a hundred times its own size of memory,
and nobody else is served meanwhile. So they are counted before anything is read.
"""

from __future__ import annotations

import re
from typing import Final

from gameroom.errors import InvalidRequest

MOST: Final = 65_536
"""Lists and objects together."""

# Each string, also one that does not end: so there is nothing to try twice, and the time grows only with the length.
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)


def check_lists(name: str, *texts: bytes) -> None:
    """Raises `InvalidRequest` where they have too many together; whether they are JSON is not looked at."""
    # Most are too short to have so many, and most others have no need of a closer look.
    if sum(map(len, texts)) > MOST and sum(map(_brackets, texts)) > MOST and sum(_brackets(_STRING.sub(b"", text)) for text in texts) > MOST:
        raise InvalidRequest(f"{name} may have at most {MOST} lists and objects")


def _brackets(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")
