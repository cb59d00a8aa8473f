"""Room messages in envelopes: `ROOM`, behind as many `ROOM_PART` as the message needs (docs/protocol/game-port.md, "Room messages").

Pure values: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

from typing import Final

from gameroom.build import IS_COMPILED
from gameroom.errors import InvalidRequest
from gameroom.wire.envelope import HEADER_BYTES, JSON, MOST_BYTES, RAW, VERSION, to_bytes

COMPILED: Final = IS_COMPILED
if COMPILED:
    from gameroom.wire import native

ROOM_PART: Final = 14
ROOM: Final = 15
_TEXT: Final = ROOM << 2 | JSON
_BINARY: Final = ROOM << 2 | RAW
ROOM_TEXT: Final = bytes((VERSION, _TEXT))
ROOM_BINARY: Final = bytes((VERSION, _BINARY))
"""What the envelope of a whole room message begins with."""
NO_MESSAGE: Final = (b"", False, 0)
"""Where there is no message. (Not None: what is compiled hands three values on, and no object.)"""


def plain_room_message(data: bytes, at: int, longest: int) -> tuple[bytes, bool, int]:
    """Take apart the envelope that begins at `at`, where that is a whole room message.

    Gives its message, whether that is binary, and where the envelope ends.
    The end is 0 where it is another envelope, is not here as a whole, or has more than `longest` bytes.
    """
    start, here = at + HEADER_BYTES, len(data)
    if start > here or data[at] != VERSION:
        return NO_MESSAGE
    second = data[at + 1]
    if second != _BINARY and second != _TEXT:  # noqa: PLR1714 - once compiled, this makes no tuple
        return NO_MESSAGE
    end = start + (data[at + 2] << 8 | data[at + 3])
    if end > here or end - start > longest:
        return NO_MESSAGE
    return data[start:end], second == _BINARY, end


def room_message(data: bytes, binary: bool) -> bytes:
    """A room message as envelopes, one after the other."""
    en = RAW if binary else JSON
    if len(data) <= MOST_BYTES:
        return native.envelope(ROOM_BINARY if binary else ROOM_TEXT, data) if COMPILED else to_bytes(ROOM, data, en)
    pieces = [data[start : start + MOST_BYTES] for start in range(0, len(data), MOST_BYTES)]
    return b"".join([*(to_bytes(ROOM_PART, piece, en) for piece in pieces[:-1]), to_bytes(ROOM, pieces[-1], en)])


class RoomParts:
    """Puts a peer's room messages together again. Other envelopes may stand between the parts."""

    __slots__ = ("_en", "_gathered", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        """Bytes that a message may have."""
        self._gathered: bytearray | None = None
        self._en = RAW

    def take(self, type: int, en: int, data: bytes) -> bytes | None:
        """The whole message with its last part, `ROOM`; None with a `ROOM_PART`. It is binary where `en` is 0, and text where it is 1.

        Raises `InvalidRequest` for another encoding, one that changes within a message, and a message over `most` bytes.
        The parts before it are forgotten then.
        """
        gathered = self._gathered
        if type == ROOM and gathered is None and en <= JSON and len(data) <= self.most:
            return data
        size = len(data) + (0 if gathered is None else len(gathered))
        if en > JSON or (gathered is not None and en != self._en) or size > self.most:
            self._gathered = None
            if size > self.most:
                raise InvalidRequest(f"a room message may have at most {self.most} bytes")
            raise InvalidRequest("a room message is text (en 1) or binary (en 0), all of its parts alike")
        if gathered is None:
            gathered = self._gathered = bytearray()
        self._en = en
        gathered += data
        if type == ROOM_PART:
            return None
        self._gathered = None
        return bytes(gathered)
