"""ZIP archives byte by byte, with whatever lie a test wants in them; `zipfile` writes none of these."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import attrs

LOCKSTEP = b'[hosting]\nkind = "lockstep"\n[lockstep]\nengine = "engine.js"\n'
RELAY = b'[hosting]\nkind = "relay"\n'
LATER, UTF8, ENCRYPTED = 1 << 3, 1 << 11, 1


@attrs.frozen(kw_only=True)
class Raw:
    """An entry; what is None is what it should be."""

    name: bytes
    data: bytes = b""
    method: int = 0
    flags: int = UTF8
    mode: int = 0o100644
    system: int = 3
    extra: bytes = b""
    local_extra: bytes = b""
    crc: int | None = None
    size: int | None = None
    packed: bytes | None = None
    packed_size: int | None = None
    local_name: bytes | None = None
    local_flags: int | None = None
    local_size: int | None = None
    offset: int | None = None
    disk: int = 0

    @property
    def stored(self) -> bytes:
        """The bytes in the archive."""
        if self.packed is not None:
            return self.packed
        if self.method != 8:
            return self.data
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()

    def numbers(self) -> tuple[int, int, int]:
        """CRC, packed size and size, as the directory says."""
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        packed = len(self.stored) if self.packed_size is None else self.packed_size
        return crc, packed, len(self.data) if self.size is None else self.size

    def local(self) -> bytes:
        flags = self.flags if self.local_flags is None else self.local_flags
        name = self.name if self.local_name is None else self.local_name
        crc, packed, size = (0, 0, 0) if flags & LATER else self.numbers()
        size = size if self.local_size is None else self.local_size
        head = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, flags, self.method, 0, 0x21, crc, packed, size, len(name), len(self.local_extra))
        after = struct.pack("<4sIII", b"PK\x07\x08", *self.numbers()) if flags & LATER else b""
        return head + name + self.local_extra + self.stored + after

    def central(self, offset: int) -> bytes:
        offset = offset if self.offset is None else self.offset
        head = struct.pack("<4sBBHHHHH", b"PK\x01\x02", 20, self.system, 20, self.flags, self.method, 0, 0x21)
        lengths = struct.pack("<HHHHHII", len(self.name), len(self.extra), 0, self.disk, 0, self.mode << 16, offset)
        return head + struct.pack("<III", *self.numbers()) + lengths + self.name + self.extra


def file(name: str, data: bytes = b"", **lies: object) -> Raw:
    """A file as an honest tool packs it, but for `lies`."""
    return Raw(name=name.encode("utf-8", "surrogateescape"), data=data, **lies)  # type: ignore[arg-type]


def archive(
    entries: Sequence[Raw],
    *,
    count: int | None = None,
    size: int | None = None,
    offset: int | None = None,
    comment: bytes = b"",
    after: bytes = b"",
    between: bytes = b"",
    large: bool = False,
) -> bytes:
    """The bytes of an archive; `large` writes a 64-bit end as well, `between` stands before the directory."""
    body, directory = b"", b""
    for entry in entries:
        directory += entry.central(len(body))
        body += entry.local()
    body += between
    fields = (len(entries) if count is None else count, len(directory) if size is None else size, len(body) if offset is None else offset)
    return body + directory + (_large_end(fields, len(body) + len(directory)) if large else b"") + end(*fields, comment=comment) + after


def _large_end(fields: tuple[int, int, int], place: int) -> bytes:
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, fields[0], *fields)
    return record + struct.pack("<4sIQI", b"PK\x06\x07", 0, place, 1)


def end(count: int, size: int, offset: int, *, comment: bytes = b"") -> bytes:
    """An end record."""
    return struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, offset, len(comment)) + comment


def bundle(*entries: Raw, toml: bytes = RELAY) -> bytes:
    """An archive with a game.toml before these entries."""
    return archive([file("game.toml", toml), *entries])
