"""What a command that speaks to a server exits with, and says."""

from __future__ import annotations

import os
from errno import EPIPE
from io import StringIO
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.progress import Bar
from gameroom.cli.reacting import CannotDo, told, whole
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import NotFound, RateLimited, ServerError


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class WholeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def ended(self, error: BaseException | None) -> tuple[Any, str]:
        """The exit status, and what is on standard error."""

        async def main(reactor: Any) -> None:
            if error is not None:
                raise error

        with patch("sys.stderr", StringIO()) as said:
            running = whole(self.reactor, main)
            if error is None:
                self.successResultOf(running)
                return 0, said.getvalue()
            return self.failureResultOf(running, SystemExit).value.code, said.getvalue()

    def test_statuses(self) -> None:
        """0, 1 for a server's no, 2 for one that could not be asked; one line each, with nothing that a terminal obeys."""
        self.assertEqual(self.ended(None), (0, ""))
        self.assertEqual(self.ended(NotFound("no such game\x1b")), (1, "gameroom: no such game\\x1b\n"))
        self.assertEqual(self.ended(ConnectionFailed("gone")), (2, "gameroom: gone\n"))
        self.assertEqual(self.ended(CannotDo("log in")), (2, "gameroom: log in\n"))
        self.assertEqual(self.ended(SystemExit(2)), (2, ""))

    def test_nobody_reads_on(self) -> None:
        """`gameroom play games | head -1` ends without a word, also when what is left is flushed at the very end."""

        reads, writes = os.pipe()
        os.close(reads)
        with os.fdopen(writes, "w") as out:
            out.write("a table")
            with patch("sys.stdout", out):
                self.assertEqual(self.ended(BrokenPipeError(EPIPE, "Broken pipe")), (141, ""))

    def test_a_mistake_of_ours_is_no_line(self) -> None:
        """What nobody expected is left to be shown with its traceback."""

        async def main(reactor: Any) -> None:
            raise ZeroDivisionError

        self.failureResultOf(whole(self.reactor, main), ZeroDivisionError)

    def test_interrupted(self) -> None:
        """Before the reactor stops what runs is cancelled, and waited for while it tidies up."""
        tidying: Deferred[None] = Deferred()

        async def main(reactor: Any) -> None:
            try:
                await Deferred()
            finally:
                await tidying

        running = whole(self.reactor, main)
        [(stop, positional, named)] = self.reactor.triggers["before"]["shutdown"]
        stopped = stop(*positional, **named)
        self.assertNoResult(stopped)
        tidying.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.failureResultOf(running, SystemExit).value.code, 130)

    def test_told(self) -> None:
        """What a server cannot know of is added."""
        self.assertEqual(told(NotFound("no such game")), "no such game")
        self.assertEqual(told(RateLimited("wait", retry_after=5.0)), "wait (in 5 s)")
        self.assertEqual(told(ServerError("our fault", incident="ab12")), "our fault (incident ab12 in the server's log)")


class BarTests(SynchronousTestCase):
    def test_terminal(self) -> None:
        """It is drawn from the first progress on, and a line goes above it."""
        screen = Screen()
        with Bar(1000, screen) as bar:
            bar.say("before")
            bar.at(400, 1000)
            bar.say("trouble")
            bar.at(1000, 1000)
        shown = screen.getvalue()
        for words in ("before", "trouble", "1.0/1.0 kB", "100%"):
            self.assertIn(words, shown)

    def test_no_terminal(self) -> None:
        """Only the lines come."""
        out = StringIO()
        with Bar(1000, out) as bar:
            bar.at(400, 1000)
            bar.say("trouble")
        self.assertEqual(out.getvalue(), "trouble\n")
