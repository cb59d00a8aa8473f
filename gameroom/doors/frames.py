"""Plain WebSocket frames, taken apart fast (RFC 6455, 5.2). Pure: no Twisted, no state.

A plain frame is a whole small message in one masked frame without reserved bits: nearly everything that a client says.
Whatever is not one is left to autobahn.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from gameroom.build import IS_COMPILED
from gameroom.wire.room_parts import NO_MESSAGE

COMPILED: Final = IS_COMPILED
if COMPILED:
    from gameroom.wire import native

LONGEST: Final = 4 * 1024
"""Bytes that a plain frame carries at most: longer ones autobahn unmasks faster, in C."""

EMPTY_PONG: Final = b"\x8a\x80"
"""What the answer to an empty ping begins with, and its size: behind this is a mask, whatever it be."""
EMPTY_PONG_BYTES: Final = 6
_TEXT: Final = 0x81
_BINARY: Final = 0x82
"""The first byte: the last frame of its message, no reserved bit, and what it is."""
_MASKED: Final = 0x80
_LENGTH_FOLLOWS: Final = 126

# A payload is unmasked as one number, its first byte the lowest. The mask, four bytes, times this is the mask over and over,
# and of that as much counts as the payload is long.
_REPEATED: Final = [int.from_bytes(b"\1\0\0\0" * ((size + 3) // 4), "little") for size in range(_LENGTH_FOLLOWS)]
_COUNTS: Final = [(1 << 8 * size) - 1 for size in range(_LENGTH_FOLLOWS)]
_mask_at: Final = Struct("<I").unpack_from
_size_at: Final = Struct("!H").unpack_from


def plain_frame(data: bytes, at: int, longest: int) -> tuple[bytes, bool, int]:
    """Take apart the frame that begins at `at`.

    Gives its message, whether that is binary, and where the frame ends.
    The end is 0 where that is no plain frame, is not here as a whole, has more than `longest` bytes or is text that is not UTF-8.
    """
    start, here = at + 6, len(data)
    if start > here:
        return NO_MESSAGE
    first, size = data[at], data[at + 1] - _MASKED
    if not _TEXT <= first <= _BINARY or size > longest:
        return NO_MESSAGE
    if size == _LENGTH_FOLLOWS:
        size, start = _size_at(data, at + 2)[0], at + 8
        # A length that would have fitted into one byte breaks the protocol.
        if not _LENGTH_FOLLOWS <= size <= longest:
            return NO_MESSAGE
    elif not 0 <= size < _LENGTH_FOLLOWS:
        return NO_MESSAGE
    end = start + size
    if end > here:
        return NO_MESSAGE
    payload: bytes = native.unmasked(data, start, size) if COMPILED else _unmasked(data, start, size)
    if first == _TEXT and not payload.isascii() and not _is_utf8(payload):
        return NO_MESSAGE
    return payload, first == _BINARY, end


def _unmasked(data: bytes, start: int, size: int) -> bytes:
    if size < _LENGTH_FOLLOWS:
        key: int = _mask_at(data, start - 4)[0] * _REPEATED[size] & _COUNTS[size]
    else:
        key = int.from_bytes((data[start - 4 : start] * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(data[start : start + size], "little") ^ key).to_bytes(size, "little")


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
