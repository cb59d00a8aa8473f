"""Room messages in envelopes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire.envelope import JSON, MOST_BYTES, PROTOBUF, RAW, EnvelopeReader
from gameroom.wire.room_messages import Outgoing
from gameroom.wire.room_parts import ROOM, ROOM_PART, RoomParts, room_message


def types_of(stream: bytes) -> list[tuple[int, int, int]]:
    """Type, encoding and size of each envelope."""
    reader = EnvelopeReader()
    reader.feed(stream)
    return [(type_, en, len(data)) for type_, en, data in reader]


class RoomMessageTests(SynchronousTestCase):
    def test_how_many(self) -> None:
        """What fits one envelope is one; each beginning 65535 bytes more are one more."""
        self.assertEqual(types_of(room_message(b"", binary=True)), [(ROOM, RAW, 0)])
        self.assertEqual(types_of(room_message(bytes(MOST_BYTES), binary=True)), [(ROOM, RAW, MOST_BYTES)])
        self.assertEqual(types_of(room_message(b" " * (MOST_BYTES + 1), binary=False)), [(ROOM_PART, JSON, MOST_BYTES), (ROOM, JSON, 1)])
        parts = [(ROOM_PART, RAW, MOST_BYTES)] * 2 + [(ROOM, RAW, MOST_BYTES)]
        self.assertEqual(types_of(room_message(bytes(MOST_BYTES * 3), binary=True)), parts)

    def test_outgoing(self) -> None:
        """A message that goes to many is put into envelopes once, and its frame is what it was."""
        for outgoing in (Outgoing.json({"type": "start"}), Outgoing(bytes(100_000), binary=True)):
            self.assertEqual(outgoing.envelope, b"")
            made = outgoing.enveloped()
            self.assertEqual(made, room_message(outgoing.data, outgoing.binary))
            self.assertIs(outgoing.enveloped(), made)
            self.assertIs(outgoing.envelope, made)
            self.assertTrue(outgoing.framed().endswith(outgoing.data))


class RoomPartsTests(SynchronousTestCase):
    def taken(self, parts: RoomParts, stream: bytes) -> list[bytes]:
        reader = EnvelopeReader()
        reader.feed(stream)
        return [whole for type_, en, data in reader if (whole := parts.take(type_, en, data)) is not None]

    @given(st.lists(st.tuples(st.sampled_from([0, 1, 7, MOST_BYTES, MOST_BYTES + 1, 3 * MOST_BYTES]), st.booleans()), max_size=4))
    def test_round_trip(self, sizes: list[tuple[int, bool]]) -> None:
        """Messages come out as they went in."""
        said = [(b"x" * size, binary) for size, binary in sizes]
        stream = b"".join(room_message(data, binary) for data, binary in said)
        self.assertEqual(self.taken(RoomParts(1 << 20), stream), [data for data, _ in said])

    @given(st.lists(st.tuples(st.sampled_from([ROOM, ROOM_PART]), st.integers(0, 3), st.binary(max_size=9)), max_size=12))
    def test_any_parts(self, said: list[tuple[int, int, bytes]]) -> None:
        """Whatever comes, a message is its parts from the last one that was whole or refused; nothing over the limit is kept."""
        parts = RoomParts(20)
        expected: list[tuple[int, bytes]] = []
        for type_, en, data in said:
            expected.append((en, data))
            good = len({en for en, _ in expected}) == 1 and en <= JSON and sum(len(data) for _, data in expected) <= 20
            try:
                whole = parts.take(type_, en, data)
            except InvalidRequest:
                self.assertFalse(good)
                expected = []
                continue
            self.assertTrue(good)
            self.assertEqual(whole, b"".join(data for _, data in expected) if type_ == ROOM else None)
            if type_ == ROOM:
                expected = []

    def test_refused(self) -> None:
        """Other encodings, encodings that change, and what is too long; what comes then is a new message."""
        refused: tuple[tuple[list[Any], str], ...] = (
            ([(ROOM, PROTOBUF, b"")], "text .en 1. or binary .en 0."),
            ([(ROOM_PART, 3, b"")], "text .en 1. or binary .en 0."),
            ([(ROOM_PART, RAW, b"a"), (ROOM, JSON, b"b")], "all of its parts alike"),
            ([(ROOM, RAW, bytes(11))], "at most 10 bytes"),
            ([(ROOM_PART, RAW, bytes(6)), (ROOM_PART, RAW, bytes(5))], "at most 10 bytes"),
        )
        for envelopes, message in refused:
            parts = RoomParts(10)
            for type_, en, data in envelopes[:-1]:
                self.assertIsNone(parts.take(type_, en, data))
            with self.assertRaisesRegex(InvalidRequest, message):
                parts.take(*envelopes[-1])
            self.assertEqual(parts.take(ROOM, JSON, b"new"), b"new")
