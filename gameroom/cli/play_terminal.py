"""Asks at a terminal, or reads lines where there is none, without keeping anything else waiting."""

from __future__ import annotations

import codecs
import os
import termios
import tty
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

from rich.cells import cell_len
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from gameroom.cli.output import shown
from gameroom.cli.play_keys import Key, LineEditor

CLEAR: Final = "\x1b[H\x1b[2J"
_LINE: Final = "\r\x1b[K"
_READ: Final = 4096


class Left(Exception):
    """The person is gone: Ctrl-D, or the end of what was to be read."""


@implementer(IReadDescriptor)
class Keyboard:
    """Where lines come from: keys of a terminal, or what is piped. `typed` is called after each change."""

    def __init__(self, reactor: Any, descriptor: int, keys: bool, typed: Callable[[], None]) -> None:
        self.lines: deque[str] = deque()
        """Whole lines that nobody has asked for yet."""
        self.ended = False
        """Whether there will be no more of them."""
        self._reactor = reactor
        self._descriptor = descriptor
        self._keys = keys
        self._tell = typed
        self._editor = LineEditor()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    @property
    def text(self) -> str:
        """What stands on the line that is being typed."""
        return self._editor.text

    def open(self) -> None:
        if not self.ended:
            self._reactor.addReader(self)

    def close(self) -> None:
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "keyboard"

    def doRead(self) -> None:
        """Something was typed. What is there is read at once, so this waits for nothing."""
        try:
            data = os.read(self._descriptor, _READ)
        except OSError:
            data = b""
        if not data:
            self._end()
        elif self._keys:
            self._typed(data)
        else:
            self._piped(data)
        self._tell()

    def connectionLost(self, reason: Any) -> None:
        self._end()
        self._tell()

    def _typed(self, data: bytes) -> None:
        for each in self._editor.feed(data):
            if each is Key.END:
                self._end()
            elif isinstance(each, str):
                self.lines.append(each)

    def _piped(self, data: bytes) -> None:
        *lines, self._editor.text = (self._editor.text + self._decode(data)).split("\n")
        self.lines.extend(line.removesuffix("\r") for line in lines)

    def _end(self) -> None:
        self.ended = True
        if not self._keys and self._editor.text:
            self.lines.append(self._editor.text)
            self._editor.text = ""
        self.close()


class Terminal:
    """Standard input and output. On a terminal what is being typed survives whatever is drawn meanwhile."""

    def __init__(self, reactor: Any, keyboard: int, out: TextIO) -> None:
        self._descriptor = keyboard
        self._out = out
        self.interactive = os.isatty(keyboard) and out.isatty()
        self._before = termios.tcgetattr(keyboard) if self.interactive else None
        self.keyboard = Keyboard(reactor, keyboard, self.interactive, self._changed)
        self._prompt = ""
        self._hidden = False
        self._asked: Deferred[str] | None = None

    # What others do with it.

    def open(self) -> None:
        """Take what is typed, from now on."""
        if self.interactive:
            tty.setcbreak(self._descriptor, termios.TCSADRAIN)
        self.keyboard.open()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self.keyboard.close()
        if self._before is not None:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Somebody else has the terminal inside."""
        self.close()
        try:
            yield
        finally:
            self.open()

    def ask(self, prompt: str, *, hidden: bool = False) -> Deferred[str]:
        """Fires with the next line. Fails with `Left`. `hidden`: what is typed is not shown."""
        self._prompt, self._hidden = prompt, hidden
        self._show()
        asked: Deferred[str] = Deferred(self._cancel)
        self._asked = asked
        self._answer()
        return asked

    def draw(self, drawing: Callable[[], None]) -> None:
        """Draw a new screen, with what is being typed below it."""
        if self.interactive:
            self._write(CLEAR)
        drawing()
        self._out.flush()
        if self._asked is not None:
            self._show()

    def note(self, text: str) -> None:
        """A line above what is being typed."""
        if self.interactive:
            self._write(_LINE)
        self._write(f"{text}\n")
        if self._asked is not None and self.interactive:
            self._show()

    @property
    def asking(self) -> bool:
        return self._asked is not None

    @property
    def size(self) -> os.terminal_size | None:
        """Columns and lines; None where this is no terminal, so that nothing needs to fit."""
        return os.get_terminal_size(self._descriptor) if self.interactive else None

    # What is typed, and what is shown.

    def _changed(self) -> None:
        if self._asked is not None and self.interactive and not self.keyboard.lines:
            self._show()
        self._answer()

    def _answer(self) -> None:
        """Tell who has asked, once there is something to tell."""
        asked = self._asked
        lines = self.keyboard.lines
        if asked is None or not (lines or self.keyboard.ended):
            return
        self._asked = None
        self._write(f"{self._line(lines[0])}\n" if lines and self.interactive else "\n")
        if lines:
            asked.callback(lines.popleft())
        else:
            asked.errback(Left())

    def _cancel(self, _: Any) -> None:
        self._asked = None
        self._write("\n")

    def _show(self) -> None:
        self._write(self._line(self.keyboard.text) if self.interactive else self._prompt)

    def _line(self, text: str) -> str:
        """The line that is being typed, or as much of its end as fits."""
        text = "" if self._hidden else shown(text)
        room = max(8, os.get_terminal_size(self._descriptor).columns - cell_len(self._prompt) - 1)
        while cell_len(text) > room:
            text = text[1:]
        return f"{_LINE}{self._prompt}{text}"

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
