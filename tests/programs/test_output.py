"""What a program prints."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.program_logs import LINE_BYTES
from gameroom.programs.output import READ_COST, SECOND_BYTES, Output


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.reactor = MemoryReactorClock()
        self.said: list[str] = []
        reading, self.writing = os.pipe()
        self.output = Output(self.reactor, reading, self.said.append)
        self.addCleanup(self.output.connectionLost)

    def print(self, data: bytes) -> None:
        os.write(self.writing, data)
        self.output.doRead()

    def close(self) -> None:
        os.close(self.writing)

    def test_whole_lines(self) -> None:
        """A line is told when it has come whole, and the last one also when it never does."""
        self.print(b"one\ntw")
        self.print(b"o\n\nthree")
        self.assertEqual(self.said, ["one\n", "two\n\n"])
        self.close()
        self.assertIsNotNone(self.output.doRead())
        self.output.connectionLost()
        self.assertEqual(self.said[2:], ["three\n"])
        self.assertNotIn(self.output, self.reactor.getReaders())

    def test_long_line(self) -> None:
        """Of a line without an end only its beginning is kept."""
        for _ in range(8):
            self.print(b"x" * 4000)
        self.print(b"\nshort\n")
        self.close()
        self.assertEqual("".join(self.said), "x" * LINE_BYTES + "\nshort\n")

    def test_not_text(self) -> None:
        """What is no UTF-8 is told with what stands for it."""
        self.print(b"\xff\n")
        self.close()
        self.assertEqual(self.said, ["\ufffd\n"])

    def test_too_much(self) -> None:
        """Who prints without end is left alone until the second is over."""
        reads = 0
        while self.output in self.reactor.getReaders():
            self.print(b"x" * 4000 + b"\n")
            reads += 1
        self.assertLessEqual(reads, SECOND_BYTES // 4000)
        self.reactor.advance(0.5)
        self.assertNotIn(self.output, self.reactor.getReaders())
        self.reactor.advance(0.5)
        self.assertIn(self.output, self.reactor.getReaders())
        self.close()

    def test_a_word_at_a_time(self) -> None:
        """Many small prints rest as well, and are read together afterwards."""
        for _ in range(SECOND_BYTES // READ_COST):
            self.print(b"x\n")
        self.assertNotIn(self.output, self.reactor.getReaders())
        self.close()

    def test_finish(self) -> None:
        """When the program is gone, what is still in the pipe is told, and nothing is left behind; also while it rests."""
        while self.output in self.reactor.getReaders():
            self.print(b"x" * 4000 + b"\n")
        os.write(self.writing, b"the end")
        self.output.finish()
        self.assertEqual(self.said[-1], "the end\n")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.output.finish()
        self.close()

    @given(st.lists(st.text(alphabet="ab\n", min_size=1, max_size=50), max_size=10))
    def test_any_split(self, pieces: list[str]) -> None:
        """However the bytes come, the same lines are told."""
        self.close()
        self.begin()
        for piece in pieces:
            self.print(piece.encode())
        os.close(self.writing)
        self.output.finish()
        whole = "".join(pieces)
        self.assertEqual("".join(self.said), whole if whole.endswith("\n") or not whole else whole + "\n")
        self.begin()
