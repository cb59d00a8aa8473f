"""A download's pushes as lines (docs/protocol/lobby.md, "Downloads").

Pure: values in, bytes out. Chunks are most of what a lobby ever sends, so their lines are put together by hand.
"""

from __future__ import annotations

import orjson
from pybase64 import b64encode

from gameroom.errors import GameroomError
from gameroom.wire import lines

MOST_CHUNK_BYTES = 262_144
"""Of the file, in one chunk."""
CHUNK_BYTES = 4096
"""Where nobody asks for more."""

_DATA = b',"data_b64":"'
_END = b'"}}\n'


def chunk_head(download_id: str) -> bytes:
    """What all chunks of a download begin with."""
    return b'{"type":"DOWNLOAD_CHUNK","payload":{"download_id":' + orjson.dumps(download_id) + b',"seq":'


def line_bytes(head: bytes, chunk_bytes: int) -> int:
    """How long the line of a chunk of so many bytes is, with a `seq` of up to eight digits."""
    return len(head) + 8 + len(_DATA) + -(-chunk_bytes // 3) * 4 + len(_END)


def chunks(head: bytes, seq: int, data: bytes, chunk_size: int) -> bytes:
    """The lines of the chunks that `data` makes; the first has this `seq`, and only the last may be shorter than `chunk_size`."""
    view = memoryview(data)
    parts: list[bytes] = []
    for first in range(0, len(data), chunk_size):
        parts += (head, b"%d" % seq, _DATA, b64encode(view[first : first + chunk_size]), _END)
        seq += 1
    return b"".join(parts)


def end(download_id: str, version: str, checksum: str) -> bytes:
    """All chunks were sent; `checksum` is the SHA-256 of the whole file in hex."""
    return lines.push("DOWNLOAD_END", {"download_id": download_id, "version": version, "checksum": checksum})


def error(download_id: str, problem: GameroomError) -> bytes:
    """The download has ended before its end."""
    return lines.push("DOWNLOAD_ERROR", {"download_id": download_id, "code": problem.code, "message": problem.message})
