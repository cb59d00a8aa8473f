"""One connection to a micro game service (docs/protocol/game-service.md).

What a service may do to us here is bounded: no more than the beginning of one frame is kept, no more than `MOST_OWED` updates are on their way,
nothing more is written to one that does not read, and one that says what does not belong here is cut off.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.errors import InvalidRequest
from gameroom.wire.game_service import ANSWER_BYTES, State, state_from_bytes
from gameroom.wire.prefixed import FrameError, Frames

if TYPE_CHECKING:
    from gameroom.gameservices.client import ServiceClient

MOST_OWED: Final = 256
"""Answers that one connection may owe. What is more waits here, and not in the service, where its time would run out."""
REMEMBERED: Final = 1024
"""Requests that a connection has answered and may answer again, without being called wrong."""
DOUBT: Final = 16
"""An update that was sent before weighs as much as so many others: it may be what holds a service up."""


class Ask:
    """One update on its way: the frame that is sent, as often as it takes, and who waits for the answer."""

    __slots__ = ("again", "asked_at", "connection", "deferred", "frame", "last", "request", "sent_at", "sequence", "tries")

    def __init__(self, request: int, sequence: int, frame: bytes, deferred: Deferred[State], now: float) -> None:
        self.request, self.sequence, self.frame, self.deferred = request, sequence, frame, deferred
        self.asked_at = self.sent_at = now
        self.tries = 0
        """How often it was sent."""
        self.connection: ServiceConnection | None = None
        """Where it is in flight."""
        self.last: ServiceConnection | None = None
        """Where it was not answered: it is for another one now."""
        self.again: IDelayedCall | None = None
        """When it is sent again."""


@implementer(IPushProducer)
class ServiceConnection(Protocol):
    """Frames out, answers in. It goes by the pool's clock, and says to the pool what comes of it."""

    transport: Any

    def __init__(self, pool: ServiceClient, now: Callable[[], float], most_bytes: Callable[[], int]) -> None:
        self._pool, self._now, self._most_bytes = pool, now, most_bytes
        self._frames = Frames(ANSWER_BYTES)
        self._done: OrderedDict[int, int] = OrderedDict()
        """The sequences of requests that it has answered, those of `REMEMBERED` in all."""
        self._paused = False
        self._needless = 0
        """Answers in a row for which nobody has waited."""
        self.owed: dict[int, Ask] = {}
        """What it was sent and has not answered, also where another has answered since or nobody waits any more: the service is busy with it."""
        self._doubted: set[int] = set()
        """Of those, the requests that were sent before, here or elsewhere."""
        self.good = False
        """Whether it has answered anything."""
        self.usable = False
        """Whether it is open and can take one more update."""
        self.open = False
        self.heard_at = 0.0
        """When it was last heard, or began to owe something."""

    @property
    def load(self) -> int:
        """What it has to do, in updates."""
        return len(self.owed) + DOUBT * len(self._doubted)

    def send(self, ask: Ask) -> None:
        """One update. Only while `usable`."""
        now = self._now()
        if not self.owed:
            self.heard_at = now
        ask.connection, ask.sent_at = self, now
        ask.tries += 1
        if ask.tries > 1:
            self._doubted.add(ask.request)
        self.owed[ask.request] = ask
        if len(self.owed) >= MOST_OWED:
            self.usable = False
        self.transport.write(ask.frame)

    def hang_up(self, why: str = "") -> None:
        """It is of no more use from now on, and closed without a word. Again is fine."""
        if self.open:
            self._leave(why)
            self.transport.abortConnection()

    # What Twisted asks.

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.open = self.usable = True
        self.transport.registerProducer(self, True)
        self._pool.opened(self)

    def dataReceived(self, data: bytes) -> None:
        if not self.open:
            return
        self._frames.most = min(self._most_bytes(), ANSWER_BYTES)
        try:
            self._take(self._frames.feed(data))
        except FrameError as wrong:
            self._take(wrong.frames)
            self._misbehaved(wrong)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.open:
            self._leave("" if self.good else f"the service closed a connection on which it had answered nothing: {reason.getErrorMessage()}")
        self._pool.closed(self)

    def pauseProducing(self) -> None:
        """The service does not read: what is more is for other connections."""
        self._paused, self.usable = True, False

    def resumeProducing(self) -> None:
        """It reads again."""
        self._paused = False
        self._consider()

    def stopProducing(self) -> None:
        """The connection is gone, as `connectionLost` says."""

    # What the service says.

    def _take(self, frames: list[bytes]) -> None:
        for frame in frames:
            if not self.open:
                return
            try:
                self._answer(frame)
            except InvalidRequest as problem:
                self._misbehaved(problem)

    def _answer(self, frame: bytes) -> None:
        """Raises `InvalidRequest` for what is no answer to anything that was sent here."""
        state = state_from_bytes(frame)
        ask = self.owed.get(state.request)
        sequence = self._done.get(state.request) if ask is None else ask.sequence
        if sequence is None:
            raise InvalidRequest(f"an answer has request {state.request}, which was not sent on this connection")
        if state.sequence != sequence:
            raise InvalidRequest(f"the answer to request {state.request} has sequence {state.sequence}, and the update had {sequence}")
        self.heard_at = self._now()
        if ask is not None:
            self._settle(ask)
        if self._pool.take(self, state, frame):
            self.good, self._needless = True, 0
        elif self._needless == REMEMBERED:
            raise InvalidRequest(f"{REMEMBERED} answers in a row were to requests that were answered before")
        else:
            self._needless += 1
        self._consider()

    def _settle(self, ask: Ask) -> None:
        """It owes this no more."""
        del self.owed[ask.request]
        if ask.tries > 1:
            self._doubted.discard(ask.request)
        self._done[ask.request] = ask.sequence
        if len(self._done) > REMEMBERED:
            self._done.popitem(last=False)

    def _consider(self) -> None:
        """Whether there is room where there was none."""
        if not self.usable and self.open and not self._paused and len(self.owed) < MOST_OWED:
            self.usable = True
            self._pool.has_room(self)

    def _misbehaved(self, problem: InvalidRequest) -> None:
        self.hang_up(f"the service said what does not belong there, and the connection is closed: {problem.message}")

    def _leave(self, why: str) -> None:
        self.open = self.usable = False
        self._pool.gone(self, why)
