"""Lines that are typed key by key."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.play_keys import Key, LineEditor


class EditorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.editor = LineEditor()

    def type(self, keys: str | bytes) -> list[str | Key]:
        return list(self.editor.feed(keys if isinstance(keys, bytes) else keys.encode()))

    def test_lines(self) -> None:
        """Enter ends a line; what was pasted may be several."""
        self.assertEqual(self.type("on"), [])
        self.assertEqual(self.editor.text, "on")
        self.assertEqual(self.type("e\rtwo\nthr"), ["one", "two"])
        self.assertEqual(self.editor.text, "thr")

    def test_corrections(self) -> None:
        """Backspace, Ctrl-U for all of it, Ctrl-W for a word."""
        self.assertEqual(self.type("ab\x7f\x7f\x7fc\b\bd\r"), ["d"])
        self.assertEqual(self.type("one two \x17three\r"), ["one three"])
        self.assertEqual(self.type("one\x17\x17two\r"), ["two"])
        self.assertEqual(self.type("one two\x15three\r"), ["three"])

    def test_other_keys(self) -> None:
        """Arrows, function keys and control characters leave the line as it is; Ctrl-L asks for a new screen."""
        self.assertEqual(self.type("a\x1b[A\x1b[1;5C\x1bOP\x1bxb\x00\x07\tc\r"), ["abc"])
        self.assertEqual(self.type("a\x0cb"), [Key.REDRAW])
        self.assertEqual(self.editor.text, "ab")

    def test_the_end(self) -> None:
        """Ctrl-D on an empty line is the end, on another it is nothing."""
        self.assertEqual(self.type("a\x04\x7f\x04"), [Key.END])

    def test_letters_of_several_bytes(self) -> None:
        """However they come; what is no UTF-8 is shown as such."""
        first, second = "é🎲".encode()[:3], "é🎲".encode()[3:]
        self.assertEqual(self.type(first) + self.type(second + b"\r"), ["é🎲"])
        self.assertEqual(self.type(b"\xff\r"), ["\ufffd"])

    def test_nothing_grows_without_end(self) -> None:
        self.type("x" * 10_000)
        self.assertEqual(len(self.editor.text), 4096)

    @given(st.binary(max_size=60), st.integers(0, 60))
    def test_any_split(self, data: bytes, place: int) -> None:
        """However the bytes come, the same was typed."""
        whole, parts = LineEditor(), LineEditor()
        expected = list(whole.feed(data))
        self.assertEqual([*parts.feed(data[:place]), *parts.feed(data[place:])], expected)
        self.assertEqual(parts.text, whole.text)
