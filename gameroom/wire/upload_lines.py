"""The lines that an upload is made of, read quickly (docs/protocol/developer.md).

Nearly all bytes that a developer door ever sees are those of UPLOAD_CHUNK, and most of them base64, of which a JSON reader makes a string only
to be decoded again. A line that is written as most programs write it is read by its form; any other is `None`, and for `lines.decode`.

Pure: bytes in, values out.
"""

from __future__ import annotations

import re
from typing import Final

import attrs
from pybase64 import b64decode

_TOKEN = rb'"token": ?"([A-Za-z0-9_-]{1,128})"'
_HEAD: Final = re.compile(
    rb'\{"type": ?"UPLOAD_CHUNK", ?(?:'
    + _TOKEN
    + rb', ?)?"payload": ?\{"upload_id": ?"([0-9a-f-]{36})", ?"seq": ?(0|[1-9][0-9]{0,14}), ?"data_b64": ?"'
)
"""What stands before the data."""
_TAIL: Final = re.compile(rb'"\}(?:, ?' + _TOKEN + rb")?\}")
"""And behind it."""
_LONGEST_TAIL: Final = 160
_PLAIN_TAIL: Final = b'"}}'


@attrs.frozen
class Chunk:
    """An UPLOAD_CHUNK."""

    token: str
    upload_id: str
    seq: int
    data: bytes


def read(line: bytes) -> Chunk | None:
    """The chunk of a line that is surely one; None where `lines.decode` is to say what it is."""
    head = _HEAD.match(line)
    if head is None:
        return None
    token, end = head[1], len(line) - len(_PLAIN_TAIL)
    if token is None or not line.endswith(_PLAIN_TAIL):
        end = line.find(b'"', max(head.end(), len(line) - _LONGEST_TAIL))
        tail = _TAIL.fullmatch(line, end) if end >= 0 else None
        if tail is None or (token is None) == (tail[1] is None):
            return None
        token = token or tail[1]
    try:
        # No quote is base64, so what is decoded is just the string's content.
        data = b64decode(memoryview(line)[head.end() : end], validate=True)
    except ValueError:
        return None
    return Chunk(token.decode(), head[2].decode(), int(head[3]), data)
