"""What compiled builds read by the processor's own numbers is what plain Python reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.wire import native
from gameroom.wire.lockstep import COMMAND_HEAD, COMMAND_HEAD_BYTES
from gameroom.wire.native import command_head, unmasked


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

    def test_size(self) -> None:
        """The head has the size that is said."""
        self.assertEqual(COMMAND_HEAD.size, COMMAND_HEAD_BYTES)
