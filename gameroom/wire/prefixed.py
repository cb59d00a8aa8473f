"""Frames with their length before them: 4 bytes, unsigned, network order (docs/protocol/game-service.md, "The envelope").

Pure: bytes in, frames out; no Twisted, no clock.
"""

from __future__ import annotations

import struct
from typing import Final

from gameroom.errors import InvalidRequest

PREFIX_BYTES: Final = 4
_length: Final = struct.Struct("!I").unpack_from
_SOME_TIMES: Final = 4
"""So many times a read may what it is put behind be copied for it; what is longer is kept as a bytearray, which grows without being copied."""


def framed(data: bytes) -> bytes:
    """One frame."""
    return len(data).to_bytes(PREFIX_BYTES, "big") + data


class Frames:
    r"""Cuts a stream of bytes into frames, in time linear in the bytes, however they arrive.

    No more is kept than the beginning of one frame: what is too long is refused by its first four bytes.

    >>> frames = Frames(1024)
    >>> frames.feed(b"\x00\x00\x00\x02{}\x00\x00")
    [b'{}']
    """

    __slots__ = ("_data", "_wrong", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        """Bytes that a frame may have; may be changed between two reads."""
        self._data: bytes | bytearray = b""
        """The beginning of a frame that has not come whole."""
        self._wrong = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take more of the stream; gives the frames that are whole now.

        Raises `InvalidRequest` for a frame of length 0 or over `most`. The frames before it in this read are its `frames`.
        After that nothing more is taken: what comes is thrown away.
        """
        if self._wrong:
            return []
        there = self._behind(data)
        found: list[bytes] = []
        at, size = 0, len(there)
        while size - at >= PREFIX_BYTES:
            (length,) = _length(there, at)
            if not 0 < length <= self.most:
                self._wrong, self._data = True, b""
                raise FrameError(length, self.most, found)
            end = at + PREFIX_BYTES + length
            if end > size:
                break
            found.append(bytes(there[at + PREFIX_BYTES : end]))
            at = end
        self._data = there[at:] if at else there
        return found

    def _behind(self, data: bytes) -> bytes | bytearray:
        """What was kept with this behind it."""
        kept = self._data
        if not kept:
            return data
        if len(kept) <= _SOME_TIMES * len(data):
            return b"".join((kept, data))
        if not isinstance(kept, bytearray):
            kept = bytearray(kept)
        kept += data
        return kept


class FrameError(InvalidRequest):
    """100: where the next frame would begin is not known. `frames` are those that were whole before it."""

    def __init__(self, length: int, most: int, frames: list[bytes]) -> None:
        words = "a frame of length 0" if not length else f"a frame of {length} bytes, of which there may be at most {most}"
        super().__init__(words)
        self.frames = frames
