"""Asking at a terminal (a pair of our own), and reading lines where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
from io import StringIO
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.play_terminal import Left, Terminal

PASSES_WITHIN = 0.02
"""Seconds that the kernel has to hand on what was written to one end of a terminal."""


class AtTerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
        self.out = open(os.dup(slave), "w")  # noqa: SIM115 - closed below
        self.addCleanup(os.close, self.master)
        self.addCleanup(os.close, slave)
        self.addCleanup(self.out.close)
        self.slave = slave
        self.modes = termios.tcgetattr(slave)
        self.reactor = MemoryReactorClock()
        self.terminal = Terminal(self.reactor, slave, self.out)
        self.terminal.open()

    def type(self, text: str) -> None:
        """Keys are pressed, and the reactor hears of it."""
        os.write(self.master, text.encode())
        while self.terminal.keyboard in self.reactor.getReaders() and _readable(self.slave):
            self.terminal.keyboard.doRead()

    def screen(self) -> str:
        """What has been shown since the last look."""
        shown = b""
        while _readable(self.master):
            shown += os.read(self.master, 65536)
        return shown.decode()

    def line(self) -> str:
        """What stands on the last line, by what was written to it last."""
        return re.split(r"\r\x1b\[K|\n", self.screen())[-1]

    def test_a_line(self) -> None:
        """What is typed is shown behind the question, and given at Enter."""
        self.assertTrue(self.terminal.interactive)
        asked = self.terminal.ask("> ")
        self.type("gmaes\x7f\x7f\x7f\x7f")
        self.assertEqual(self.line(), "> g")
        self.type("ames")
        self.assertNoResult(asked)
        self.type("\r")
        self.assertEqual(self.successResultOf(asked), "games")
        self.assertTrue(self.screen().endswith("> games\r\n"))

    def test_typed_ahead(self) -> None:
        """What is typed before it is asked for answers the next questions."""
        self.type("one\rtwo\rthr")
        self.assertEqual([self.successResultOf(self.terminal.ask("> ")) for _ in range(2)], ["one", "two"])
        asked = self.terminal.ask("> ")
        self.assertEqual(self.line(), "> thr")
        self.assertNoResult(asked)

    def test_drawing_keeps_what_is_typed(self) -> None:
        """Whatever is drawn or noted meanwhile."""
        self.terminal.ask("> ")
        self.type("say he")
        self.screen()
        self.terminal.draw(lambda: print("Room", file=self.out))
        drawn = self.screen()
        self.assertTrue(drawn.startswith("\x1b[H\x1b[2JRoom\r\n"))
        self.assertTrue(drawn.endswith("> say he"))
        self.terminal.note("bob came")
        self.assertEqual(self.screen(), "\r\x1b[Kbob came\r\n\r\x1b[K> say he")

    def test_hidden(self) -> None:
        """A password is not shown, not even its length."""
        asked = self.terminal.ask("Password: ", hidden=True)
        self.type("secret")
        self.assertEqual(self.line(), "Password: ")
        self.type("\r")
        self.assertEqual(self.successResultOf(asked), "secret")
        self.assertNotIn("secret", self.screen())

    def test_long_lines(self) -> None:
        """The end of a line that is longer than the screen is shown, in as many columns as there are."""
        asked = self.terminal.ask("> ")
        self.type("0123456789abcdefghijkl")
        self.assertEqual(self.line(), "> 56789abcdefghijkl")
        self.type("\x15" + "漢" * 12)
        self.assertEqual(self.line(), "> " + "漢" * 8)
        self.type("\r")
        self.assertEqual(self.successResultOf(asked), "漢" * 12)

    def test_the_end(self) -> None:
        """Ctrl-D: who asks then, and who asks later."""
        asked = self.terminal.ask("> ")
        self.type("\x04")
        self.failureResultOf(asked, Left)
        self.failureResultOf(self.terminal.ask("> "), Left)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_the_modes(self) -> None:
        """They are as before once it is closed, and while somebody else has the terminal."""
        self.assertNotEqual(termios.tcgetattr(self.slave), self.modes)
        with self.terminal.lent():
            self.assertEqual(termios.tcgetattr(self.slave), self.modes)
            self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getReaders(), [self.terminal.keyboard])
        self.terminal.close()
        self.assertEqual(termios.tcgetattr(self.slave), self.modes)

    def test_cancelled(self) -> None:
        """Who leaves in the middle of a line leaves on a line of its own."""
        asked = self.terminal.ask("> ")
        self.type("half")
        self.screen()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.screen(), "\r\n")
        self.assertFalse(self.terminal.asking)


class PipedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.read, self.write = os.pipe()
        self.addCleanup(os.close, self.read)
        self.out = StringIO()
        self.reactor: Any = MemoryReactorClock()
        self.terminal = Terminal(self.reactor, self.read, self.out)
        self.terminal.open()

    def say(self, data: bytes, *, last: bool = False) -> None:
        if data:
            os.write(self.write, data)
            self.terminal.keyboard.doRead()
        if last:
            os.close(self.write)
            self.terminal.keyboard.doRead()

    def test_lines(self) -> None:
        """As they are, with letters that come in two parts, also the last one that nobody has ended."""
        self.assertFalse(self.terminal.interactive)
        self.say("one\r\ntw\u00f6\nth".encode()[:9])
        self.say("one\r\ntw\u00f6\nth".encode()[9:])
        self.assertEqual([self.successResultOf(self.terminal.ask("> ")) for _ in range(2)], ["one", "twö"])
        asked = self.terminal.ask("> ")
        self.assertNoResult(asked)
        self.say(b"ree", last=True)
        self.assertEqual(self.successResultOf(asked), "three")
        self.failureResultOf(self.terminal.ask("> "), Left)

    def test_nothing_a_terminal_obeys(self) -> None:
        """Questions and drawings stand below each other."""
        self.terminal.draw(lambda: print("Games", file=self.out))
        asked = self.terminal.ask("> ")
        self.terminal.note("bob came")
        self.say(b"1\n", last=True)
        self.successResultOf(asked)
        self.assertEqual(self.out.getvalue(), "Games\n> bob came\n\n")


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], PASSES_WITHIN)[0])
