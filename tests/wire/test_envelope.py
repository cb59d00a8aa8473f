"""The game port's envelope."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire.envelope import JSON, MOST_BYTES, RAW, Envelope, EnvelopeReader, WrongVersion, to_bytes

envelopes = st.builds(Envelope, type=st.integers(0, 63), data=st.binary(max_size=300), en=st.integers(0, 3))


def read(stream: bytes, most: int = MOST_BYTES) -> list[Envelope]:
    reader = EnvelopeReader(most)
    reader.feed(stream)
    return list(iter(reader.next, None))


class EnvelopeTests(SynchronousTestCase):
    def test_bits(self) -> None:
        """Version, then the encoding in the two low bits beside the type, then the length in network order."""
        self.assertEqual(Envelope(1, b"{}").to_bytes(), bytes.fromhex("010500027b7d"))
        self.assertEqual(to_bytes(63, b"x" * 0x0102, RAW)[:4], bytes.fromhex("01fc0102"))

    def test_what_it_cannot_hold(self) -> None:
        """Sixteen bits of length, six of type, two of encoding; more is a mistake of ours."""
        self.assertEqual(len(to_bytes(1, bytes(MOST_BYTES))), 4 + MOST_BYTES)
        for type_, data, en in ((1, bytes(MOST_BYTES + 1), JSON), (64, b"", JSON), (-1, b"", JSON), (1, b"", 4), (1, b"", -1)):
            with self.assertRaises(ValueError):
                to_bytes(type_, data, en)

    @given(st.lists(envelopes, max_size=6))
    def test_round_trip(self, said: list[Envelope]) -> None:
        """What was said is read."""
        self.assertEqual(read(b"".join(each.to_bytes() for each in said)), said)


class ReaderTests(SynchronousTestCase):
    @given(st.lists(envelopes, max_size=5), st.data())
    def test_any_split(self, said: list[Envelope], data: Any) -> None:
        """The same bytes give the same envelopes, however they are split and whenever they are asked for."""
        stream = b"".join(each.to_bytes() for each in said)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        reader, got = EnvelopeReader(), []
        for start, end in itertools.pairwise([0, *cuts, len(stream)]):
            reader.feed(stream[start:end])
            for _ in range(data.draw(st.integers(0, 3))):
                if (envelope := reader.next()) is not None:
                    got.append(envelope)
        got += iter(reader.next, None)
        self.assertEqual(got, said)
        self.assertEqual((reader.buffered, reader.rest()), (0, b""))
