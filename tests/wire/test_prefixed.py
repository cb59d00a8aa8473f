"""Frames with their length before them."""

from __future__ import annotations

import itertools
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire.prefixed import FrameError, Frames, framed

MOST = 300
contents = st.lists(st.binary(min_size=1, max_size=MOST), max_size=6)


class FramesTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        """Four bytes, in network order."""
        self.assertEqual(framed(b"{}"), bytes.fromhex("000000027b7d"))
        self.assertEqual(framed(bytes(0x010203))[:4], bytes.fromhex("00010203"))

    @given(contents, st.data())
    def test_any_split(self, said: list[bytes], data: Any) -> None:
        """The same bytes give the same frames, however they are split, each as soon as its last byte is there."""
        stream = b"".join(map(framed, said))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        frames, got = Frames(MOST), []
        for start, end in itertools.pairwise([0, *cuts, len(stream)]):
            got += frames.feed(stream[start:end])
            self.assertEqual(got, said[: len(got)])
            if len(got) < len(said):
                self.assertGreater(len(b"".join(map(framed, said[: len(got) + 1]))), end)
        self.assertEqual(got, said)
        self.assertTrue(all(type(each) is bytes for each in got))

    @given(contents, st.sampled_from([0, MOST + 1, 2**32 - 1]), st.binary(max_size=20), st.data())
    def test_faults(self, said: list[bytes], length: int, behind: bytes, data: Any) -> None:
        """Length 0 and too long a frame are refused by their first four bytes; what came whole before is not lost; nothing is taken after."""
        stream = b"".join(map(framed, said)) + length.to_bytes(4, "big")
        cut = data.draw(st.integers(0, len(stream) - 1))
        frames = Frames(MOST)
        got = frames.feed(stream[:cut])
        with self.assertRaises(InvalidRequest) as raised:
            frames.feed(stream[cut:] + behind)
        assert isinstance(raised.exception, FrameError)
        self.assertEqual(got + raised.exception.frames, said)
        self.assertIn(str(length), raised.exception.message)
        self.assertEqual(frames.feed(framed(b"more")), [])

    def test_limit_may_change(self) -> None:
        """The limit is that of the moment at which a frame begins to be read."""
        frames = Frames(4)
        self.assertEqual(frames.feed(framed(b"1234")), [b"1234"])
        frames.most = 5
        self.assertEqual(frames.feed(framed(b"12345")), [b"12345"])
        frames.most = 2
        with self.assertRaises(InvalidRequest):
            frames.feed(framed(b"123"))

    def test_linear(self) -> None:
        """A mebibyte that comes in small pieces does not take long."""
        stream = framed(bytes(1 << 20))
        frames, began, got = Frames(1 << 20), time.process_time(), []
        for at in range(0, len(stream), 16):
            got += frames.feed(stream[at : at + 16])
        self.assertEqual(len(got[0]), 1 << 20)
        self.assertLess(time.process_time() - began, 2.0)
