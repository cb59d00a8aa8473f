"""What games' programs have said lately."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.program_logs import LINE_BYTES, ProgramLogs

AT = "2023-11-14T22:13:20.000Z "


def logs(**sizes: int) -> ProgramLogs:
    clock = Clock()
    clock.advance(1_700_000_000)
    return ProgramLogs(clock, **sizes)


class ProgramLogsTests(SynchronousTestCase):
    def test_last_lines(self) -> None:
        """The last lines of a game, the oldest first, each with its time; other games' are not among them."""
        log = logs()
        log.write("a", "one\ntwo\n")
        log.write("b", "else")
        log.write("a", "three")
        self.assertEqual([AT + "one", AT + "two", AT + "three"], log.lines("a", 10))
        self.assertEqual([AT + "two", AT + "three"], log.lines("a", 2))
        self.assertEqual([AT + "else"], log.lines("b", 10))
        self.assertEqual([[], []], [log.lines("a", 0), log.lines("c", 10)])

    def test_lines_as_written(self) -> None:
        """CRLF ends a line as LF does, empty lines stay, and nothing said is no line."""
        log = logs()
        log.write("a", "")
        log.write("a", "x\r\n\r\ny\n")
        self.assertEqual([AT + "x", AT, AT + "y"], log.lines("a", 10))

    def test_terminal_is_safe(self) -> None:
        """What would move a reader's cursor, or turn the direction of writing, is replaced."""
        log = logs()
        log.write("a", "a\x1b[2Jb\u202ec\x9bd\te\ud800")
        self.assertEqual([AT + "a\ufffd[2Jb\ufffdc\ufffdd\te\ufffd"], log.lines("a", 10))

    def test_long_line(self) -> None:
        """A long line is cut, between characters."""
        log = logs()
        log.write("a", "é" * LINE_BYTES)
        [line] = log.lines("a", 10)
        self.assertEqual(AT + "é" * (LINE_BYTES // 2), line)

    def test_one_game_is_bounded(self) -> None:
        """A game that says much keeps its last lines only, be they long or empty."""
        log = logs(game_bytes=2000)
        for number in range(100):
            log.write("a", f"{number}")
        kept = log.lines("a", 1000)
        self.assertEqual([AT + str(number) for number in range(100 - len(kept), 100)], kept)
        self.assertTrue(10 <= len(kept) <= 2000 // 128, len(kept))
        log.write("a", "\n" * 1_000_000)
        self.assertLessEqual(len(log.lines("a", 10_000)), 2000 // 128)

    def test_all_games_are_bounded(self) -> None:
        """Of many games those are forgotten that have said nothing for longest."""
        log = logs(game_bytes=2000, all_bytes=4000)
        for game in "abcdefghijklmnopqrstuvwxyz" * 4:
            log.write("first" if game == "m" else game, "line")
            log.write("steady", "line")
        self.assertEqual([], log.lines("a", 10))
        self.assertTrue(log.lines("z", 10) and log.lines("steady", 10))

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.text())))
    def test_anything(self, said: list[tuple[str, str]]) -> None:
        """Whatever a program says can be told, within the bounds, and one line stays one line."""
        log = logs(game_bytes=1000, all_bytes=2000)
        for game, text in said:
            log.write(game, text)
        told = [log.lines(game, 10_000) for game in "abc"]
        self.assertLessEqual(len(orjson.dumps(told)), 20_000)
        self.assertFalse([line for lines in told for line in lines if "\n" in line or "\r" in line])
        self.assertLessEqual(sum(len(line.encode()) for lines in told for line in lines), 2000)
