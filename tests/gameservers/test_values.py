"""What is said of GameServers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.gameservers.values import LINE_CHARACTERS, one_line


class OneLineTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Become one; what would change a reader's terminal is seen as what it is."""
        self.assertEqual(one_line(" no\r\n\tsuch \x1b[31mmap\u202e\u2028x\x00 "), "no such \ufffd[31mmap\ufffd x\ufffd")

    def test_long(self) -> None:
        """Is cut, and one sees that it is."""
        self.assertEqual(one_line("a" * 501), "a" * 499 + "…")
        self.assertEqual(one_line("a" * 500), "a" * 500)

    @given(st.text(max_size=1200))
    def test_any(self, text: str) -> None:
        """One line, of bounded length, and the same again."""
        line = one_line(text)
        self.assertLessEqual(len(line), LINE_CHARACTERS)
        self.assertLessEqual(len(line.splitlines()), 1)
        self.assertEqual(one_line(line), line)
