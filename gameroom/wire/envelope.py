"""The envelope of the game port: four bytes, then data (docs/protocol/game-port.md, "The envelope").

Pure: bytes in, envelopes out; no Twisted, no clock.
Envelopes are cut from the stream one at a time, so that the bytes behind one can go elsewhere (`rest`), and the limit may change with the one before.
"""

from __future__ import annotations

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
        if self._at == len(self._data):
            self._data, self._at = data, 0
            return
        unread = self._data
        if isinstance(unread, bytearray):
            del unread[: self._at]
        else:
            unread = self._data = bytearray(memoryview(unread)[self._at :])
        self._at = 0
        unread += data

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

        One may stop between any two: what was not given stays here.
        """
        while True:
            data, at = self._data, self._at
            size = len(data)
            if at == size:
                self._data, self._at = b"", 0
                return
            if data[at] != VERSION:
                raise WrongVersion(f"this is the game port's envelope, version {VERSION}; a byte {data[at]} stands where the version belongs")
            if size - at < HEADER_BYTES:
                return
            end = at + HEADER_BYTES + (data[at + 2] << 8 | data[at + 3])
            if end - at - HEADER_BYTES > self.most:
                raise InvalidRequest(f"an envelope may hold at most {self.most} bytes here; this one announces {end - at - HEADER_BYTES}")
            if end > size:
                return
            kind = data[at + 1]
            self._at = end
            yield kind >> 2, kind & 3, bytes(data[at + HEADER_BYTES : end])

    def rest(self) -> bytes:
        """All bytes that were not given yet; nothing is left here."""
        rest = bytes(memoryview(self._data)[self._at :])
        self._data, self._at = b"", 0
        return rest

    @property
    def buffered(self) -> int:
        """Bytes that were not given yet."""
        return len(self._data) - self._at
