"""What a program prints."""

from __future__ import annotations

import os
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.program_logs import LINE_BYTES
from gameroom.programs.output import READ_COST, SECOND_BYTES, Output
from gameroom.reactor import LeanReactor


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.reactor = MemoryReactorClock()
        self.said: list[str] = []
        reading, self.writing = os.pipe()
        self.output = Output(self.reactor, reading, self.said.append)
        self.addCleanup(self.end, self.reactor, self.output)

    @staticmethod
    def end(reactor: MemoryReactorClock, output: Output) -> None:
        output.connectionLost()
        reactor.advance(0.0)

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
        self.reactor.advance(0.0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.output.finish()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertRaises(BrokenPipeError, os.write, self.writing, b"x")
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


class TwoProgramsTests(SynchronousTestCase):
    """One program has ended, and another begins before the reactor has said all that it heard of the first."""

    def begin(self, reactor: EPollReactor) -> tuple[Output, int, list[str]]:
        reading, writing = os.pipe()
        said: list[str] = []
        return Output(reactor, reading, said.append), writing, said

    def check(self, reactor: EPollReactor) -> None:
        begin = partial(self.begin, reactor)
        first, first_writing, _ = begin()
        news, told = os.pipe()
        others: list[tuple[Output, int, list[str]]] = []

        class News(FileDescriptor):
            """Whoever hears first that the program has ended."""

            def fileno(self) -> int:
                return news

            def doRead(self) -> None:
                os.read(news, 1)
                first.finish()
                others.append(begin())

        reactor.addReader(News(reactor))
        os.write(told, b"x")
        os.close(first_writing)
        reactor.doPoll(0.0)
        [(other, writing, said)] = others
        reactor.runUntilCurrent()
        os.write(writing, b"here\n")
        reactor.doPoll(0.0)
        self.assertEqual(said, ["here\n"])
        other.finish()
        reactor.runUntilCurrent()
        reactor.removeAll()
        for descriptor in (writing, news, told):
            os.close(descriptor)

    def test_the_end_of_one_is_not_that_of_the_other(self) -> None:
        """What is still to be told of a descriptor is not told to the next one of its number."""
        for reactor in (EPollReactor(), LeanReactor()):
            self.check(reactor)
