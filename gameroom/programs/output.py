"""What a program prints: read at a pace that costs the daemon nothing, and given on in whole lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.program_logs import LINE_BYTES

SECOND_BYTES: Final = 256 << 10
"""What is read of a program in a second: as much as is kept of its game. One that prints more waits for its `print`."""
LINE_COST: Final = 128
"""Bytes that a line counts beside its own: empty ones cost, too."""
READ_COST: Final = 1 << 10
"""What each read counts beside that: of one that prints a word at a time, more is read at once, later."""
_READ_BYTES: Final = 16 << 10
_PIPE_BYTES: Final = 64 << 10
"""What a pipe holds."""


@implementer(IReadDescriptor)
class Output:
    """The end of a program's stdout and stderr that we read from.

    `reactor` provides `IReactorFDSet` and `IReactorTime`. It calls `say(text)` with whole lines; what is too long of one is left out.
    """

    def __init__(self, reactor: Any, fd: int, say: Callable[[str], None]) -> None:
        self._reactor, self._fd, self._say = reactor, fd, say
        os.set_blocking(fd, False)
        self._begun = b""
        """A line that has not come whole yet, as much as is kept of it."""
        self._left = SECOND_BYTES
        self._until = reactor.seconds() + 1.0
        self._resting: IDelayedCall | None = None
        reactor.addReader(self)

    def finish(self) -> None:
        """No process of the program is left: what is still in the pipe, and no more."""
        if self._fd >= 0:
            for _ in range(_PIPE_BYTES // _READ_BYTES):
                if not self._read():
                    break
        self.connectionLost()

    # What the reactor calls.

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "a program's output"

    def doRead(self) -> Failure | None:
        if not self._read():
            # The reactor takes the exception itself, whatever the interface's types say.
            return CONNECTION_DONE  # type: ignore[return-value]
        if self._left <= 0:
            self._rest()
        return None

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Nobody can write to it any more."""
        if self._fd < 0:
            return
        self._reactor.removeReader(self)
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if self._begun:
            self._tell(self._begun)
            self._begun = b""
        # Epoll may have told already that this pipe has ended, and be heard later in this round: then nobody else may have its number.
        self._reactor.callLater(0.0, os.close, self._fd)
        self._fd = -1

    def _read(self) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        now = self._reactor.seconds()
        if now >= self._until:
            self._left, self._until = SECOND_BYTES, now + 1.0
        self._left -= READ_COST + len(data) + data.count(b"\n") * LINE_COST
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            self._tell(self._begun + whole)
            self._begun = rest[:LINE_BYTES]
        else:
            self._begun += rest[: LINE_BYTES - len(self._begun)]

    def _tell(self, lines: bytes) -> None:
        self._say(lines.decode(errors="replace") + "\n")

    def _rest(self) -> None:
        self._reactor.removeReader(self)
        self._resting = self._reactor.callLater(max(0.0, self._until - self._reactor.seconds()), self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._reactor.addReader(self)
