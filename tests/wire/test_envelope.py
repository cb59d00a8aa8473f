"""The game port's envelope."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
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


def joined(said: list[Envelope]) -> bytes:
    return b"".join(each.to_bytes() for each in said)


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
        self.assertEqual(read(joined(said)), said)


class ReaderTests(SynchronousTestCase):
    @given(st.lists(envelopes, max_size=5), st.data())
    def test_any_split(self, said: list[Envelope], data: Any) -> None:
        """The same bytes give the same envelopes, however they are split, whenever they are asked for, and in which way."""
        stream = joined(said)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        reader = EnvelopeReader()
        got: list[Envelope] = []
        for start, end in itertools.pairwise([0, *cuts, len(stream)]):
            reader.feed(stream[start:end])
            self.assertEqual(reader.buffered, end - len(joined(got)))
            asked = data.draw(st.integers(0, 3))
            if data.draw(st.booleans()):
                got += itertools.islice(iter(reader.next, None), asked)
            else:
                got += (Envelope(type_, payload, en) for type_, en, payload in itertools.islice(reader, asked))
        got += iter(reader.next, None)
        self.assertEqual(got, said)
        self.assertEqual((reader.buffered, reader.rest()), (0, b""))

    @given(st.lists(envelopes, min_size=1, max_size=5), st.data())
    def test_rest(self, said: list[Envelope], data: Any) -> None:
        """What was not given is given up as it came, and the reader begins anew."""
        taken = data.draw(st.integers(0, len(said)))
        cut = data.draw(st.integers(0, len(joined(said))))
        reader = EnvelopeReader()
        reader.feed(joined(said)[:cut])
        got = list(itertools.islice(iter(reader.next, None), taken))
        self.assertEqual(joined(got) + reader.rest(), joined(said)[:cut])
        self.assertEqual(reader.buffered, 0)
        reader.feed(said[0].to_bytes())
        self.assertEqual(reader.next(), said[0])

    def test_between_two(self) -> None:
        """While envelopes are being taken more may come, the limit may change, and the rest may go elsewhere."""
        reader = EnvelopeReader(most=2)
        reader.feed(to_bytes(1, b"aa") + to_bytes(2, b"bbb") + to_bytes(3, b"c"))
        got = []
        for type_, _, data in reader:
            got.append((type_, data))
            if type_ == 1:
                reader.most = 3
                reader.feed(to_bytes(4, b"dd"))
            if type_ == 3:
                self.assertEqual(reader.rest(), to_bytes(4, b"dd"))
                reader.feed(to_bytes(5, b"e"))
        self.assertEqual(got, [(1, b"aa"), (2, b"bbb"), (3, b"c"), (5, b"e")])

    def test_what_it_gives_is_bytes(self) -> None:
        """Whatever it was gathered in: data is kept, and used as a key."""
        reader, whole = EnvelopeReader(), to_bytes(1, b"x" * 50)
        for start in range(len(whole)):
            reader.feed(whole[start : start + 1])
        self.assertEqual([type(data) for _, _, data in reader], [bytes])

    def test_version(self) -> None:
        """A wrong version is told at its byte, after the good envelopes before it, again and again."""
        for behind in (b"\x02", b"GET / HTTP/1.1\r\n\r\n", b"\x00\x05\x00\x00"):
            reader = EnvelopeReader()
            reader.feed(to_bytes(1, b"{}") + behind)
            self.assertEqual(reader.next(), Envelope(1, b"{}"))
            for _ in range(2):
                with self.assertRaises(WrongVersion):
                    reader.next()

    def test_most(self) -> None:
        """A length over the limit is told when it is announced, and one that has just the limit is read."""
        self.assertEqual(read(to_bytes(1, b"12345"), most=5), [Envelope(1, b"12345")])
        with self.assertRaisesRegex(InvalidRequest, "at most 5 bytes of data here; this one announces 6"):
            read(to_bytes(1, b"123456")[:4], most=5)

    @given(st.binary(max_size=200))
    def test_garbage(self, noise: bytes) -> None:
        """Raises InvalidRequest and nothing else."""
        try:
            read(noise, most=100)
        except InvalidRequest:
            pass


class CostTests(SynchronousTestCase):
    """The work is linear in the bytes: so many are copied, which is counted, since time depends on who else works."""

    def copied(self, pieces: Iterable[bytes], ask: Callable[[EnvelopeReader], object]) -> int:
        """Bytes that are put anywhere while these are fed; a buffer that stays the same one has grown in its place."""
        reader, copied = EnvelopeReader(), 0
        for piece in pieces:
            before = reader._data
            reader.feed(piece)
            copied += len(piece) if reader._data is before else len(reader._data)
            ask(reader)
        self.assertEqual(reader.buffered, len(reader.rest()))
        return copied

    def test_dripped(self) -> None:
        """The largest envelope a byte at a time."""
        envelope = to_bytes(1, bytes(65000))
        pieces = [envelope[at : at + 1] for at in range(len(envelope))]
        self.assertLess(self.copied(pieces, list), 2 * len(envelope))

    def test_backlog(self) -> None:
        """A stream that is fed in crumbs while nobody asks, or while one envelope is asked for at a time."""
        stream = to_bytes(1, bytes(60)) * 1000
        crumbs = [stream[at : at + 7] for at in range(0, len(stream), 7)]
        self.assertLess(self.copied(crumbs, lambda reader: None), 2 * len(stream))
        pieces = [stream, *(stream[at : at + 64] for at in range(0, len(stream), 64))]
        self.assertLess(self.copied(pieces, lambda reader: self.assertIsNotNone(reader.next())), 4 * len(stream))
