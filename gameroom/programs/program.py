"""One program of a bundle while it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.programs.output import Output
from gameroom.programs.processes import Processes
from gameroom.programs.watch import INTERVAL, InThread, Watch

CLEANLY: Final = "ended with status 0"
"""What `Program.ended` says where nothing went wrong."""

_SETTLING: Final = 0.005
"""Seconds between two looks whether the last process is gone."""
_SETTLED_WITHIN: Final = 5.0
"""Seconds after which it is said that one is not."""


class Program:
    """One program of a bundle, from its start to its end; `Programs.run` makes it."""

    _log = Logger()

    def __init__(self, *, about: str, memory_mb: int, clock: IReactorTime, in_thread: InThread, tell: Callable[[str], None]) -> None:
        """`tell` writes to the game's log; `in_thread` is for what may take long."""
        self._in_thread = in_thread
        self._about, self._memory_mb, self._clock, self._tell = about, memory_mb, clock, tell
        self.child = _Child(self)
        """What the reactor is given."""
        self._transport: IProcessTransport | None = None
        self._processes: Processes | None = None
        self._output: Output | None = None
        self._lifeline = -1
        self._watch: Watch | None = None
        self._next_look: IDelayedCall | None = None
        self._last_word: IDelayedCall | None = None
        """When SIGTERM has been enough."""
        self._why = ""
        """Why it was ended by us, or else how it ended by itself."""
        self._exited = False
        self._waiting: list[Deferred[str]] = []
        self.running = True
        """Whether any process of it may still be there."""
        self.pid = 0
        """The process that we started; the program itself is below it."""

    def begin(self, transport: IProcessTransport, processes: Processes, output: Output, lifeline: int) -> None:
        """It was started. `Programs` says so, once. `lifeline` is the descriptor with which all of it ends, also when the daemon is killed."""
        self._transport, self._processes, self._output, self._lifeline = transport, processes, output, lifeline
        self.pid = transport.pid
        if self._exited:
            self._put_away()
        else:
            self._watch = Watch(processes=processes, memory_mb=self._memory_mb, now=self._clock.seconds(), in_thread=self._in_thread)
            self._next_look = self._clock.callLater(INTERVAL, self._look)

    def ended(self) -> Deferred[str]:
        """A new Deferred for each call: it fires when no process of the program is left, with why, as `ended with status 1`.

        It has fired already where that is so already.
        """
        if not self.running:
            return succeed(self._why)
        ended: Deferred[str] = Deferred()
        self._waiting.append(ended)
        return ended

    def end(self, patience: float = 5.0) -> Deferred[None]:
        """SIGTERM to the program itself, and after `patience` seconds SIGKILL to all that it started. Fires when nothing is left.

        Asked again it does not send SIGTERM again, but may have less patience.
        """
        if self.running and not self._exited:
            if self._last_word is not None:
                if self._last_word.getTime() > self._clock.seconds() + patience:
                    self._last_word.reset(patience)
            elif self._terminate():
                self._last_word = self._clock.callLater(patience, self._no_more_patience)
            else:
                # It has not begun yet: there is nothing that it could want to put away.
                self.kill()
        return self.ended().addCallback(lambda _: None)

    def kill(self) -> None:
        """End all of it at once."""
        if not self.running or self._exited or self._transport is None or self._processes is None:
            return
        self._why = self._why or "was ended"
        self._processes.kill()
        try:
            self._transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    @property
    def looks(self) -> bool:
        """Whether its processes can be seen; so it can be watched."""
        return self._processes is not None and self._processes.use() is not None

    def _terminate(self) -> bool:
        if self._processes is None or not self._processes.signal(signal.SIGTERM):
            return False
        self._why = self._why or "was ended"
        return True

    def _no_more_patience(self) -> None:
        self._last_word = None
        self._log.warn("{about}: has not ended when it was asked to, and was killed", about=self._about)
        self.kill()

    def _look(self) -> None:
        assert self._watch is not None
        self._next_look = self._clock.callLater(INTERVAL, self._look)
        why = self._watch.look(self._clock.seconds())
        if why is not None:
            self._why = why
            self._log.warn("{about}: {why}, and was killed", about=self._about, why=why)
            self._tell(f"gameroom: the program {why}, and was ended")
            self._next_look.cancel()
            self._next_look = None
            self.kill()

    def exited(self, reason: Failure) -> None:
        """The process that we started is gone, which the reactor says; those below it are about to be."""
        self._exited = True
        self._why = self._why or _words(reason)
        for call in (self._next_look, self._last_word):
            if call is not None:
                call.cancel()
        self._next_look = self._last_word = None
        self._settle(self._clock.seconds() + _SETTLED_WITHIN)

    def _settle(self, until: float) -> None:
        if self._processes is not None and not self._processes.gone():
            if self._clock.seconds() < until:
                self._clock.callLater(_SETTLING, self._settle, until)
                return
            self._log.error("{about}: has ended, but processes of it are left", about=self._about)
        self.running = False
        self._put_away()
        waiting, self._waiting = self._waiting, []
        for ended in waiting:
            ended.callback(self._why)

    def _put_away(self) -> None:
        if self._output is not None:
            self._output.finish()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


class _Child(ProcessProtocol):
    """The process that we started, as Twisted shows it. It has no pipes of Twisted's."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def processEnded(self, reason: Failure) -> None:
        self._program.exited(reason)


def _words(reason: Failure) -> str:
    """How it ended: `ended with status 1`, `was killed by SIGSEGV`. bubblewrap tells of signals as a shell does."""
    error = reason.value
    if not isinstance(error, ProcessTerminated):
        return CLEANLY
    number = error.signal or (error.exitCode or 0) - 128
    if number in {each.value for each in signal.Signals}:
        return f"was killed by {signal.Signals(number).name}"
    return f"ended with status {error.exitCode}"
