"""JSON lines over a stream: a Protocol and a Factory that carry a `LineConversation` (docs/protocol/lobby.md, "Lines").

Requests are carried out one after another.
While one waits for something, or the peer does not read its answers, no further request is carried out or read.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.doors.line_conversation import LineConversation
from gameroom.doors.outbox import Outbox
from gameroom.doors.peers import PeerCount, address_of
from gameroom.settings import Limits
from gameroom.wire.lines import LineBuffer, LineTooLong

if TYPE_CHECKING:
    from gameroom.metrics import Metrics

UNAUTHENTICATED_SECONDS = 60.0
"""People type; where the configuration says nothing they have so long for their first valid token."""

LINGER_SECONDS = 5.0
"""How long a connection that we end has to take our last answer, and may still send: closed at once, its unread bytes would destroy it."""

_BATCH = 64 * 1024
"""Bytes of answers that are joined into one write."""

_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))
"""Seconds until a silent peer is asked whether it lives, between questions, and how many: the system's default is hours."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class LineProtocol(Protocol):
    """One connection of a JSON-lines door. It is its transport's streaming producer."""

    transport: Any

    def __init__(self, factory: LineFactory, address: str, leave: Callable[[], None]) -> None:
        self._door = factory
        self._leave = leave
        self._lines = LineBuffer()
        self._answers: list[bytes] = []
        self._answered_bytes = 0
        self._waiting = False
        self._working = False
        self._reading = True
        self._half_closed = False
        self._ending = ""
        self._timer: IDelayedCall | None = None
        self.outbox = Outbox(self._write, factory.limits().queue_bytes, self._overflowed)
        self.conversation = factory.converse(address, self._push, self.outbox.catch_up)

    # What Twisted tells us.

    def connectionMade(self) -> None:
        door = self._door
        if ITCPTransport.providedBy(self.transport):
            _tune(self.transport)
        self.transport.registerProducer(self, True)
        seconds = door.limits().unauthenticated_seconds
        self._timer = door.clock.callLater(UNAUTHENTICATED_SECONDS if seconds is None else seconds, self._too_late)
        door.opened(self)

    def dataReceived(self, data: bytes) -> None:
        if self._ending:
            return
        self._lines.feed(data)
        if self._waiting:
            # What is sent ahead of answers waits with its sender.
            self._read(False)
        else:
            self._work()

    def readConnectionLost(self) -> None:
        self._half_closed = True
        if self._ending:
            # It has heard us: there is nothing more to wait for.
            self.outbox.when_sent(self.transport.loseConnection)
            return
        self._lines.end()
        self._work()

    def writeConnectionLost(self) -> None:
        if not self._ending:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        self._lines.clear()
        self.outbox.stopProducing()
        self.conversation.lost()
        self._leave()
        self._door.closed(self, self._ending or _why(reason))
        self._ending = self._ending or "lost"

    # What our transport asks of us, as its producer.

    def pauseProducing(self) -> None:
        self.outbox.pauseProducing()
        self._read(False)

    def resumeProducing(self) -> None:
        self.outbox.resumeProducing()
        self._work()

    def stopProducing(self) -> None:
        self.outbox.stopProducing()

    # Requests.

    def _work(self) -> None:
        """Carry out requests until none is left, one waits, or the peer does not read."""
        if self._working or self._waiting:
            return
        self._working = True
        try:
            while self._may_go_on():
                line = self._next_line()
                if line is None:
                    break
                self._answer(line)
        finally:
            self._working = False
            self._flush()
        if self._may_go_on():
            if self._half_closed:
                self._end("done")
            else:
                self._read(True)

    def _may_go_on(self) -> bool:
        return not (self._waiting or self._ending or self.outbox.paused)

    def _next_line(self) -> bytes | None:
        try:
            return self._lines.take(self.conversation.longest_line)
        except LineTooLong as error:
            self._say(self.conversation.too_long(error))
            self._end(self.conversation.closing)
            return None

    def _answer(self, line: bytes) -> None:
        answer = self.conversation.answer(line)
        if type(answer) is bytes:
            self._say(answer)
            self._settle()
        else:
            assert isinstance(answer, Deferred)
            self._waiting = True
            answer.addCallback(self._answered)

    def _answered(self, answer: bytes) -> None:
        self._waiting = False
        if self._ending == "lost":
            return
        self._say(answer)
        self._settle()
        self._work()

    def _settle(self) -> None:
        """What an answer may have changed: the peer is known now, or was told once too often that it is not."""
        if self.conversation.closing:
            self._end(self.conversation.closing)
        elif self._timer is not None and self.conversation.proved:
            self._stop_timer()

    # What we say.

    def _say(self, answer: bytes) -> None:
        """Say it with the other answers of this turn."""
        self._answers.append(answer)
        self._answered_bytes += len(answer)
        if self._answered_bytes > _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._answers:
            answers = b"".join(self._answers)
            self._answers.clear()
            self._answered_bytes = 0
            self.outbox.send_patiently(answers)

    def _push(self, line: bytes) -> None:
        """Answers that were given before it go out before it: they tell of an older world."""
        self._flush()
        self.outbox.send(line)

    def _write(self, data: bytes) -> None:
        self.transport.write(data)

    # How it ends.

    def _end(self, why: str) -> None:
        """Say what is still to be said, then end the connection."""
        if self._ending:
            return
        self._ending = why
        if why != "done":
            self._stop_timer()
            self._timer = self._door.clock.callLater(LINGER_SECONDS, self._abort)
        self._lines.clear()
        self._flush()
        self.outbox.when_sent(self._close)

    def _close(self) -> None:
        if self._half_closed or not ITCPTransport.providedBy(self.transport) or ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()
            return
        self._read(True)
        self.transport.loseWriteConnection()

    def _too_late(self) -> None:
        if self._ending:
            self._abort()
        else:
            self._end("never authorized")

    def _abort(self) -> None:
        self._timer = None
        self.transport.abortConnection()

    def _overflowed(self) -> None:
        self._ending = self._ending or "too slow"
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _read(self, wanted: bool) -> None:
        if wanted == self._reading or self._half_closed:
            return
        self._reading = wanted
        if wanted:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()


class LineFactory(Factory):
    """Makes the connections of one JSON-lines door. `converse(address, push, catch_up)` makes a conversation."""

    _log = Logger()
    noisy = False

    def __init__(
        self,
        *,
        door: str,
        converse: Callable[[str, Callable[[bytes], None], Callable[[Callable[[], bytes | None]], None]], LineConversation],
        clock: IReactorTime,
        limits: Callable[[], Limits],
        metrics: Metrics | None = None,
    ) -> None:
        self.door = door
        self.converse = converse
        self.clock = clock
        self.limits = limits
        self._metrics = metrics
        self._peers = PeerCount(lambda: limits().connections_per_address)
        self.connections: set[LineProtocol] = set()
        if metrics is not None:
            metrics.queued(door, self.queued_bytes)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """None, which refuses the connection, where its address has too many."""
        address = address_of(addr)
        leave = self._peers.enter(address)
        if leave is None:
            self._log.info("{door}: {address} has too many connections; one more is refused", door=self.door, address=address)
            return None
        return LineProtocol(self, address, leave)

    def queued_bytes(self) -> int:
        """How much waits for slow readers."""
        return sum(connection.outbox.queued_bytes for connection in self.connections)

    def opened(self, connection: LineProtocol) -> None:
        self.connections.add(connection)
        if self._metrics is not None:
            self._metrics.connection_opened(self.door)

    def closed(self, connection: LineProtocol, reason: str) -> None:
        """`reason` is a word or two of ours."""
        self.connections.discard(connection)
        if self._metrics is not None:
            self._metrics.connection_closed(self.door, reason)


def _why(reason: Failure) -> str:
    """What ended a connection that we did not end."""
    if reason.check(ConnectionDone) is not None:
        return "done"
    return "lost" if reason.check(ConnectionLost) is not None else "error"


def _tune(transport: Any) -> None:
    """Answers go out at once, and a peer that has vanished is found."""
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    handle = transport.getHandle()
    if isinstance(handle, socket.socket):
        for name, value in _KEEP_ALIVE:
            if hasattr(socket, name):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
