"""Plain WebSocket frames, taken apart fast (RFC 6455, 5.2). Pure: no Twisted, no state.

A plain frame is a whole small message in one masked frame without reserved bits: nearly everything that a client says.
Whatever is not one is left to autobahn.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

LONGEST: Final = 4 * 1024
"""Bytes that a plain frame carries at most: longer ones autobahn unmasks faster, in C."""

_TEXT, _BINARY = _KINDS = 0x81, 0x82
"""The first byte: the last frame of its message, no reserved bit, and what it is."""
_SHORT = Struct("!BBI")
_LONG = Struct("!BBHI")
_MASKED = 0x80
_LENGTH_FOLLOWS = 126

# A payload is unmasked as one number: the mask, which is four bytes, times this is the mask over and over.
_REPEATS: Final = [int.from_bytes(b"\0\0\0\1" * ((size + 3) // 4)) for size in range(_LENGTH_FOLLOWS)]
_TOO_MUCH: Final = [8 * (-size % 4) for size in range(_LENGTH_FOLLOWS)]
"""By the payload's size, the bits of the last mask that go beyond its end."""


def plain_frame(data: bytes, at: int, longest: int) -> tuple[bytes, bool, int] | None:
    """Take apart the frame that begins at `at`.

    Gives its message, whether that is binary, and where the frame ends.
    Gives None where that is no plain frame, is not here as a whole, has more than `longest` bytes or is text that is not UTF-8.
    """
    start = at + 6
    if start > len(data):
        return None
    first, second, mask = _SHORT.unpack_from(data, at)
    size = second ^ _MASKED
    if first not in _KINDS or size > longest:
        return None
    if size < _LENGTH_FOLLOWS:
        end = start + size
        if end > len(data):
            return None
        key = mask * _REPEATS[size] >> _TOO_MUCH[size]
    elif size == _LENGTH_FOLLOWS:
        start += 2
        if start > len(data):
            return None
        _, _, size, mask = _LONG.unpack_from(data, at)
        end = start + size
        # A length that would have fitted into one byte breaks the protocol.
        if not _LENGTH_FOLLOWS <= size <= longest or end > len(data):
            return None
        key = int.from_bytes((data[start - 4 : start] * ((size + 3) // 4))[:size])
    else:
        return None
    payload = (int.from_bytes(data[start:end]) ^ key).to_bytes(size)
    if first == _TEXT and not payload.isascii() and not _is_utf8(payload):
        return None
    return payload, first == _BINARY, end


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
