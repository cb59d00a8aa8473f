"""The envelope of the game port: four bytes, then data (docs/protocol/game-port.md, "The envelope").

Pure: bytes in, envelopes out; no Twisted, no clock.
Envelopes are cut from the stream one at a time, so that the bytes behind one can go elsewhere (`rest`), and the limit may change with the one before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import attrs

from gameroom.errors import InvalidRequest

VERSION: Final = 1
HEADER_BYTES: Final = 4
MOST_BYTES: Final = 65535
"""Of data in one envelope: its length has 16 bits."""
MOST_TYPE: Final = 63
RAW: Final = 0
JSON: Final = 1
PROTOBUF: Final = 2
"""What `en` says of the data; 3 is reserved."""

_header: Final = struct.Struct("!BBH").unpack_from
_SOME_TIMES: Final = 4
"""So many times a read may what it is put behind be copied for it; what is longer is kept as a bytearray, which grows without being copied."""


class WrongVersion(InvalidRequest):
    """100, and the last thing that this peer is told: where its next envelope would begin is not known."""


@attrs.frozen
class Envelope:
    """One envelope. `type` is 0 to 63; `en` is how `data` is encoded, 0 to 3."""

    type: int
    data: bytes
    en: int = JSON

    def to_bytes(self) -> bytes:
        """Raises ValueError for more data than an envelope can hold."""
        return to_bytes(self.type, self.data, self.en)


def to_bytes(type: int, data: bytes, en: int = JSON) -> bytes:
    """A whole envelope. Raises ValueError for more than 65535 bytes of data, and for a type or an encoding that its bits cannot hold."""
    size = len(data)
    if size > MOST_BYTES or not 0 <= type <= MOST_TYPE or not 0 <= en <= 3:
        raise ValueError(f"no envelope of type {type} and encoding {en} can hold {size} bytes")
    return bytes((VERSION, type << 2 | en, size >> 8, size & 255)) + data


class EnvelopeReader:
    r"""Cuts a stream of bytes into envelopes, in time linear in the bytes, however they arrive.

    >>> reader = EnvelopeReader()
    >>> reader.feed(b"\x01\x05\x00\x02{}\x01\x05")
    >>> reader.next()
    Envelope(type=1, data=b'{}', en=1)
    >>> reader.next() is None
    True
    """

    __slots__ = ("_at", "_data", "most")

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        """Bytes of data that an envelope may announce; may be changed at any time, and counts for the envelopes not yet given."""
        self._data: bytes | bytearray = b""
        """What came, and from `_at` on is not given yet: one read as it is, and a bytearray once a read ended inside of an envelope."""
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take more of the stream."""
        unread = len(self._data) - self._at
        if not unread:
            self._data = data
        elif unread <= _SOME_TIMES * len(data):
            self._data = b"".join((memoryview(self._data)[self._at :], data))
        elif isinstance(self._data, bytearray):
            del self._data[: self._at]
            self._data += data
        else:
            self._data = bytearray(memoryview(self._data)[self._at :])
            self._data += data
        self._at = 0

    def next(self) -> Envelope | None:
        """The next envelope, or None until more has come.

        Raises `WrongVersion`, and `InvalidRequest` for one that announces more than `most` bytes, as soon as its header is there,
        and again at each call.
        """
        for type_, en, data in self:
            return Envelope(type_, data, en)
        return None

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        """The envelopes that are there as plain tuples of type, encoding and data; raises what `next` raises, when the faulty one's turn comes.

        One may stop between any two, `feed`, or take the `rest`: what was not given stays here.
        """
        data, at, size = self._data, self._at, len(self._data)
        while size - at >= HEADER_BYTES:
            version, kind, length = _header(data, at)
            if version != VERSION or length > self.most:
                raise self._fault(version, length)
            at += HEADER_BYTES
            end = at + length
            if end > size:
                return
            self._at = end
            piece = data[at:end]
            yield kind >> 2, kind & 3, piece if type(piece) is bytes else bytes(piece)
            at = end
            if self._at != end or self._data is not data:
                data, at, size = self._data, self._at, len(self._data)
        if at == size:
            self._data, self._at = b"", 0
        elif data[at] != VERSION:
            raise self._fault(data[at], 0)

    def _fault(self, version: int, length: int) -> InvalidRequest:
        if version != VERSION:
            return WrongVersion(f"an envelope begins with the byte {VERSION}, its version; this one begins with {version}")
        return InvalidRequest(f"an envelope may hold at most {self.most} bytes of data here; this one announces {length}")

    def rest(self) -> bytes:
        """All bytes that were not given yet; nothing is left here."""
        rest = bytes(memoryview(self._data)[self._at :])
        self._data, self._at = b"", 0
        return rest

    @property
    def buffered(self) -> int:
        """Bytes that were not given yet."""
        return len(self._data) - self._at
