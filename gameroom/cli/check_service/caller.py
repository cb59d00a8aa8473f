"""One connection to a micro game service that is being checked: nothing is asked twice here, and whatever is wrong is told.

Where many are asked at a time, who is slow answers all of them late. So one is without an answer only when the service has said nothing at all for
so long, on any connection; `Heartbeat` knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from gameroom.cli.check_service.words import CLOSED, FLOODS, REQUEST, SILENT, TWICE, UNREADABLE
from gameroom.errors import InvalidRequest
from gameroom.wire.game_service import ANSWER_BYTES, State, Update, state_from_bytes, update_to_bytes
from gameroom.wire.prefixed import FrameError, Frames, framed

MOST_AGAIN: Final = 1000
"""Answers on one connection that nobody waits for."""


@attrs.frozen(kw_only=True)
class Reply:
    """What came of one update: either a state, or what went wrong in its place."""

    seconds: float
    state: State | None = None
    data: bytes = b""
    """The answer as it came; empty where there is none."""
    trouble: str = ""
    """A kind of `check_service.words`; empty where there is a state."""
    said: str = ""
    """What was wrong, in words."""


@attrs.define
class Heartbeat:
    """When the service last answered anything, in the clock's seconds. All its connections share it."""

    last: float = 0.0


@attrs.define
class _Asked:
    since: float
    waiting: Deferred[Reply]
    patience: IDelayedCall


class Caller(Protocol):
    """Asks one service on one connection. `stray(kind, what)` is told of answers that nobody waits for."""

    transport: Any

    def __init__(self, clock: IReactorTime, *, timeout: float, heartbeat: Heartbeat, stray: Callable[[str, str], None]) -> None:
        self._clock, self._timeout, self._heartbeat, self._stray = clock, timeout, heartbeat, stray
        self._frames = Frames(ANSWER_BYTES)
        self._asked: dict[int, _Asked] = {}
        self._answered: set[int] = set()
        self._again = 0
        self.open = True
        """Whether anything can be asked on it. One that went wrong is closed at once."""
        self.why = "the connection is closed"

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def ask(self, update: Update, *, timeout: float | None = None) -> Deferred[Reply]:
        """Fires with what comes of it, and never fails. `update.request` is one that was never used on this connection."""
        return self.expect(update.request, lambda: self.write(framed(update_to_bytes(update))), timeout)

    def expect(self, request: int, write: Callable[[], None], timeout: float | None = None) -> Deferred[Reply]:
        """As `ask`, of an update that `write` writes, now or later."""
        if not self.open:
            return succeed(Reply(seconds=0.0, trouble=CLOSED, said=self.why))
        waiting: Deferred[Reply] = Deferred(lambda _: self._given_up(request))
        seconds = self._timeout if timeout is None else timeout
        patience = self._clock.callLater(seconds, self._no_answer, request, seconds)
        self._asked[request] = _Asked(self._clock.seconds(), waiting, patience)
        write()
        return waiting

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        """In order, where nothing is owed on it. Whoever still waits on it is told that it is closed."""
        if self.open and not self._asked and self.transport is not None:
            self.open = False
            self.transport.loseConnection()
        self.cut()

    def cut(self) -> None:
        """As a daemon that is killed does, whatever is on its way."""
        self._wrong(CLOSED, self.why)

    # What the transport calls.

    def dataReceived(self, data: bytes) -> None:
        if not self.open:
            return
        wrong = ""
        try:
            frames = self._frames.feed(data)
        except FrameError as error:
            frames, wrong = error.frames, f"it sends {error.message}; the bytes that came begin with {data[:24]!r}"
        for frame in frames:
            if self.open:
                self._came(frame)
        if wrong:
            self._wrong(UNREADABLE, wrong)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._wrong(CLOSED, "it closed the connection")

    def _came(self, frame: bytes) -> None:
        try:
            state = state_from_bytes(frame)
        except InvalidRequest as error:
            self._wrong(UNREADABLE, error.message, frame)
            return
        asked = self._asked.pop(state.request, None)
        if asked is not None:
            self._heartbeat.last = self._clock.seconds()
            self._answered.add(state.request)
            asked.patience.cancel()
            asked.waiting.callback(Reply(seconds=self._clock.seconds() - asked.since, state=state, data=frame))
        elif state.request in self._answered:
            self._again += 1
            self._stray(TWICE, f"request {state.request} was answered again")
            if self._again >= MOST_AGAIN:
                self._stray(FLOODS, f"{self._again} answers that nobody waits for, on one connection")
                self._wrong(FLOODS, "it floods the connection with answers")
        else:
            asked_for = ", ".join(map(str, list(self._asked)[:3])) or "nothing"
            what = f"it answers request {state.request}; asked was {asked_for}"
            if not self._asked:
                self._stray(REQUEST, what)
            self._wrong(REQUEST, what, frame)

    def _given_up(self, request: int) -> None:
        asked = self._asked.pop(request, None)
        if asked is not None:
            asked.patience.cancel()
        self.close()

    def _no_answer(self, request: int, seconds: float) -> None:
        left = self._heartbeat.last + seconds - self._clock.seconds()
        if left > 0:
            self._asked[request].patience = self._clock.callLater(left, self._no_answer, request, seconds)
            return
        self._wrong(SILENT, f"no answer in {seconds:g} s")

    def _wrong(self, kind: str, what: str, data: bytes = b"") -> None:
        """Nothing more is taken from this connection."""
        if not self.open:
            return
        self.open, self.why = False, what
        if self.transport is not None:
            self.transport.abortConnection()
        asked, self._asked = self._asked, {}
        for each in asked.values():
            if each.patience.active():
                each.patience.cancel()
            if not each.waiting.called:
                each.waiting.callback(Reply(seconds=self._clock.seconds() - each.since, trouble=kind, said=what, data=data))
