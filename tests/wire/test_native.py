"""What compiled builds read and write by the processor's own numbers is what plain Python reads and writes."""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.wire import native
from gameroom.wire.envelope import JSON, RAW, to_bytes
from gameroom.wire.lockstep import BINARY, COMMAND_HEAD, COMMAND_HEAD_BYTES, U16, U32, MasterPacket
from gameroom.wire.native import command_head, envelope, frame, recorded, unmasked
from gameroom.wire.room_messages import Outgoing
from gameroom.wire.room_parts import ROOM


class NativeTests(SynchronousTestCase):
    if native.__file__.endswith(".py"):
        skip = "this is plain Python, whose numbers are not the processor's; test_compiled runs it"

    @given(st.binary(max_size=10), st.binary(min_size=4, max_size=4), st.binary(max_size=300), st.binary(max_size=10))
    def test_unmasked(self, before: bytes, mask: bytes, payload: bytes, behind: bytes) -> None:
        """Payloads of any length, anywhere in what was read."""
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        data = before + mask + masked + behind
        self.assertEqual(unmasked(data, len(before) + 4, len(payload)), payload)

    @given(st.binary(min_size=COMMAND_HEAD_BYTES, max_size=60))
    def test_command_head(self, data: bytes) -> None:
        """All fields but the first two, over the whole of their range."""
        self.assertEqual(command_head(data), COMMAND_HEAD.unpack_from(data)[2:])

    def test_unmasked_after_longer_ones(self) -> None:
        """Nothing is left in a payload of a longer one before it."""
        for size in (300, 9, 8, 3, 0):
            self.assertEqual(unmasked(bytes(4) + b"m" * size, 4, size), b"m" * size)

    @given(
        st.integers(0, U32),
        st.integers(0, 2 * U16),
        st.none() | st.tuples(st.integers(0, U32), st.integers(-(2**63), 2**63 - 1)),
        st.dictionaries(st.integers(0, 63), st.binary(min_size=1, max_size=80), max_size=6),
        st.booleans(),
    )
    def test_master(self, generation: int, iterations: int, agreed: tuple[int, int] | None, commands: dict[int, bytes], system: bool) -> None:
        """Numbers over the whole of their range, and whatever goes into a master."""
        events = [{"left": 3}] if system else []
        checksum = b"" if agreed is None else BINARY.checksum(*agreed)
        master = BINARY.master(generation, iterations, checksum, [commands.get(seat) for seat in range(64)], events)
        self.assertEqual(BINARY.read_master(master), MasterPacket(generation, min(iterations, U16), agreed, commands, events))

    def test_frame(self) -> None:
        """Sizes that fit into the first byte, and others."""
        for size, head in ((0, b"\x00"), (125, b"\x7d"), (126, b"\x7e\x00\x7e"), (40_000, b"\x7e\x9c\x40"), (65_535, b"\x7e\xff\xff")):
            self.assertEqual(frame(0x82, b"f" * size), b"\x82" + head + b"f" * size)
        self.assertEqual(Outgoing(b"{}").framed(), b"\x81\x02{}")
        self.assertEqual(Outgoing(b"f" * 65_536, True).framed(), b"\x82\x7f" + bytes((0, 0, 0, 0, 0, 1, 0, 0)) + b"f" * 65_536)

    def test_envelope(self) -> None:
        for size in (0, 1, 255, 256, 40_000, 65_535):
            for binary, en in ((True, RAW), (False, JSON)):
                self.assertEqual(Outgoing(b"e" * size, binary).enveloped(), to_bytes(ROOM, b"e" * size, en))
        self.assertEqual(envelope(b"ab", b"cd"), b"ab\x00\x02cd")

    @given(st.lists(st.binary(max_size=200), max_size=3))
    def test_recorded(self, masters: list[bytes]) -> None:
        """Lines of JSON with base64, of any length."""
        lines, sizes = recorded(masters, 9, 1700)
        due = [b'{"t":1700,"type":"master","generation":%d,"data":"%b"}\n' % (9 + n, b64encode(each)) for n, each in enumerate(masters)]
        self.assertEqual((lines, sizes), (b"".join(due), [len(line) for line in due]))

    def test_size(self) -> None:
        """The head has the size that is said."""
        self.assertEqual(COMMAND_HEAD.size, COMMAND_HEAD_BYTES)
