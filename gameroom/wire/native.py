"""What compiled builds read and write by the processor's own numbers (docs/speed.md).

Plain Python does the same otherwise, and needs neither this module nor the library, which is mypyc's.
"""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, read_i16_be, read_i32_be, read_i32_le, read_i64_be, read_i64_le, write_i64_le
from mypy_extensions import i64


_whole: Final = BytesWriter()
"""Made once: who writes into it truncates it first, and takes out all of it before anybody else writes."""


def unmasked(data: bytes, start: i64, size: i64) -> bytes:
    """The payload of a WebSocket frame that begins at `start`, behind its mask (RFC 6455, 5.3). All of it is there."""
    key = i64(read_i32_le(data, start - 4)) & 0xFFFFFFFF
    key |= key << 32
    payload = _whole
    payload.truncate(0)
    at, end = start, start + size
    while end - at >= 8:
        write_i64_le(payload, read_i64_le(data, at) ^ key)
        at += 8
    if at == end:
        return payload.getvalue()
    if size > 8:
        # What is left are the last of the last eight bytes. What comes behind them here goes again.
        write_i64_le(payload, (read_i64_le(data, end - 8) >> (64 - 8 * (end - at))) ^ key)
        payload.truncate(size)
        return payload.getvalue()
    while at < end:
        payload.append((data[at] ^ key) & 0xFF)
        key >>= 8
        at += 1
    return payload.getvalue()


def command_head(data: bytes) -> tuple[int, float, float, int, int]:
    """Generation, latency, framerate, and the hash's generation and value of a binary command packet; see `wire.lockstep.COMMAND_HEAD`."""
    value = int(read_i64_be(data, 14))
    return (
        int(i64(read_i32_be(data, 2)) & 0xFFFFFFFF),
        float(i64(read_i16_be(data, 6)) & 0xFFFF),
        float(i64(read_i16_be(data, 8)) & 0xFFFF),
        int(i64(read_i32_be(data, 10)) & 0xFFFFFFFF),
        value if value >= 0 else value + (1 << 64),
    )
