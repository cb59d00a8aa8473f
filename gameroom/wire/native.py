"""What compiled builds read and write by the processor's own numbers (docs/speed.md).

Plain Python does the same otherwise, and needs neither this module nor the library, which is mypyc's.
"""

from __future__ import annotations

from typing import Final

from librt.base64 import b64encode
from librt.strings import (
    BytesWriter,
    read_i16_be,
    read_i32_be,
    read_i32_le,
    read_i64_be,
    read_i64_le,
    write_i16_be,
    write_i32_be,
    write_i64_be,
    write_i64_le,
)
from mypy_extensions import i16, i32, i64, u8

_NO_CHECKSUM: Final = bytes(12)
_whole: Final = BytesWriter()
"""Made once: who writes into it truncates it first, and takes out all of it before anybody else writes. It stays as large as the largest."""


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
        payload.append(u8((data[at] ^ key) & 0xFF))
        key >>= 8
        at += 1
    return payload.getvalue()


def command_head(data: bytes) -> tuple[int, float, float, int, int]:
    """Generation, latency, framerate, and the hash's generation and value of a binary command packet; see `wire.lockstep.COMMAND_HEAD`."""
    return (
        int(i64(read_i32_be(data, 2)) & 0xFFFFFFFF),
        float(i64(read_i16_be(data, 6)) & 0xFFFF),
        float(i64(read_i16_be(data, 8)) & 0xFFFF),
        int(i64(read_i32_be(data, 10)) & 0xFFFFFFFF),
        int(read_i64_be(data, 14)),
    )


def checksum(generation: i64, value: i64) -> bytes:
    """A hash as it stands in a binary master."""
    written = _whole
    written.truncate(0)
    write_i32_be(written, i32(generation))
    write_i64_be(written, value)
    return written.getvalue()


def master(generation: i64, iterations: i64, checksum: bytes, commands: list[bytes | None], system: bytes) -> bytes:
    """A binary master; see `wire.lockstep.BinaryPackets.master`. `system` are the bytes of its events, empty where there are none."""
    count: i64 = 1 if system else 0
    for said in commands:
        if said is not None and len(said) > 0:
            count += 1
    packet = _whole
    packet.truncate(0)
    packet.append(2)
    packet.append(1 if checksum else 0)
    write_i32_be(packet, i32(generation))
    write_i16_be(packet, i16(iterations))
    packet.write(checksum or _NO_CHECKSUM)
    write_i16_be(packet, i16(count))
    for seat, said in enumerate(commands):
        if said is not None and len(said) > 0:
            write_i16_be(packet, i16(seat))
            write_i16_be(packet, i16(i64(len(said))))
            packet.write(said)
    if system:
        write_i16_be(packet, -1)
        write_i16_be(packet, i16(i64(len(system))))
        packet.write(system)
    return packet.getvalue()


def frame(first: i64, data: bytes) -> bytes:
    """A WebSocket frame of up to 65535 bytes that begins with that byte; see `wire.room_messages`."""
    frame, size = _whole, i64(len(data))
    frame.truncate(0)
    frame.append(u8(first))
    if size < 126:
        frame.append(u8(size))
    else:
        frame.append(126)
        write_i16_be(frame, i16(size))
    frame.write(data)
    return frame.getvalue()


def envelope(begin: bytes, data: bytes) -> bytes:
    """An envelope of up to 65535 bytes of data that begins with those two; see `wire.room_parts`."""
    envelope, size = _whole, i64(len(data))
    envelope.truncate(0)
    envelope.write(begin)
    write_i16_be(envelope, i16(size))
    envelope.write(data)
    return envelope.getvalue()


def recorded(masters: list[bytes], generation: int, milliseconds: int) -> tuple[bytes, list[int]]:
    """The lines of binary masters from that generation on, and the size of each; see `store.recording.lines_of`."""
    begin = b'{"t":%d,"type":"master","generation":' % milliseconds
    lines, end, sizes = _whole, i64(0), list[int]()
    lines.truncate(0)
    for master in masters:
        lines.write(begin)
        lines.write(b"%d" % generation)
        lines.write(b',"data":"')
        lines.write(b64encode(master))
        lines.write(b'"}\n')
        sizes.append(int(len(lines) - end))
        end = len(lines)
        generation += 1
    return lines.getvalue(), sizes
