"""gameroom.doors.frames: what is a plain frame, and what is in it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.frames import LONGEST, plain_frame
from gameroom.wire.room_parts import NO_MESSAGE
from tests.doors.web.sockets import BINARY, CLOSE, PING, PONG, TEXT, frame
from tests.system import websocket


class PlainFrameTests(SynchronousTestCase):
    """`plain_frame`."""

    def test_sizes(self) -> None:
        """A message of every size comes out as it was, with whatever mask, wherever the frame stands."""
        for size in (*range(300), 1000, LONGEST - 1, LONGEST):
            message = bytes(at * 7 % 251 for at in range(size))
            data = websocket.frame(BINARY, message)
            self.assertEqual(plain_frame(data, 0, LONGEST), (message, True, len(data)), size)
            self.assertEqual(plain_frame(b"before" + data + b"behind", 6, LONGEST), (message, True, 6 + len(data)), size)

    @given(st.text(max_size=300))
    def test_text(self, text: str) -> None:
        """Text is told from bytes."""
        data = websocket.frame(TEXT, text.encode())
        self.assertEqual(plain_frame(data, 0, LONGEST), (text.encode(), False, len(data)))

    def test_not_whole(self) -> None:
        """A frame that is not here to its last byte is none."""
        for size in (0, 5, 125, 126, 200):
            data = frame(b"x" * size)
            for length in range(len(data)):
                self.assertEqual(plain_frame(data[:length], 0, LONGEST), NO_MESSAGE, (size, length))
                self.assertEqual(plain_frame(b"ab" + data[:length], 2, LONGEST), NO_MESSAGE, (size, length))

    def test_too_long(self) -> None:
        """A frame that is longer than asked for is none, however its length is written."""
        for size in (1, 125, 126, 127, 128, 1000):
            data = frame(b"x" * size)
            self.assertEqual(plain_frame(data, 0, size - 1), NO_MESSAGE, size)
            self.assertNotEqual(plain_frame(data, 0, size), NO_MESSAGE, size)

    def test_not_plain(self) -> None:
        """Fragments, control frames, reserved bits and opcodes, frames without a mask and lengths that could be shorter are none."""
        kinds: tuple[dict[str, Any], ...] = {"fin": False}, {"masked": False}, {"rsv": 1}, {"rsv": 2}, {"rsv": 4}
        for payload in (b"", b"x", b"x" * 200):
            for opcode in (TEXT, BINARY):
                for kind in kinds:
                    self.assertEqual(plain_frame(frame(payload, opcode, **kind), 0, LONGEST), NO_MESSAGE, kind)
            for opcode in (0, 3, 7, CLOSE, PING, PONG, 11, 15):
                self.assertEqual(plain_frame(frame(payload, opcode), 0, LONGEST), NO_MESSAGE, opcode)
        for size in (0, 1, 125):
            self.assertEqual(plain_frame(b"\x82\xfe" + size.to_bytes(2) + bytes(4 + size), 0, LONGEST), NO_MESSAGE, size)
            self.assertEqual(plain_frame(b"\x82\xff" + size.to_bytes(8) + bytes(4 + size), 0, LONGEST), NO_MESSAGE, size)

    def test_not_utf8(self) -> None:
        """Text that is not UTF-8 is none: surrogates, overlong forms, and a character that is cut."""
        for payload in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", "ü".encode()[:1], b"x" * 200 + b"\x80"):
            self.assertEqual(plain_frame(frame(payload), 0, LONGEST), NO_MESSAGE, payload)
            self.assertNotEqual(plain_frame(frame(payload, BINARY), 0, LONGEST), NO_MESSAGE, payload)
