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
from gameroom.doors.line_requests import LineRequests
from gameroom.doors.outbox import Outbox
from gameroom.doors.peers import PeerCount, address_of
from gameroom.doors.rounds import Rounds
from gameroom.settings import Limits

if TYPE_CHECKING:
    from gameroom.metrics import Metrics

UNAUTHENTICATED_SECONDS = 60.0
"""People type; where the configuration says nothing they have so long for their first valid token."""

LINGER_SECONDS = 5.0
"""How long a connection that we end has to take our last answer, and may still send: closed at once, its unread bytes would destroy it."""

GOING_DOWN = "going down"
"""Why connections end when the daemon does."""

_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))
"""Seconds until a silent peer is asked whether it lives, between questions, and how many: the system's default is hours."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class LineProtocol(Protocol):
    """One connection of a JSON-lines door. It is its transport's streaming producer."""

    transport: Any

    def __init__(self, factory: LineFactory, address: str, leave: Callable[[], None]) -> None:
        self._door = factory
        self._leave = leave
        self._met = False
        self._reading = True
        self._half_closed = False
        self._ending = ""
        self._timer: IDelayedCall | None = None
        self.outbox = Outbox(self._write, factory.limits().queue_bytes, self._overflowed)
        self._requests = LineRequests(self.outbox, self._progressed, factory.rounds)
        self.conversation = factory.converse(address, self._requests.push, self.outbox.catch_up)
        self._requests.conversation = self.conversation
        self.conversation.attach(self.outbox, self._requests)

    # What Twisted tells us.

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            _tune(self.transport)
        self.transport.registerProducer(self, True)
        seconds = self._door.limits().unauthenticated_seconds
        self._timer = self._door.clock.callLater(UNAUTHENTICATED_SECONDS if seconds is None else seconds, self._too_late)
        self._door.opened(self)

    def dataReceived(self, data: bytes) -> None:
        if not self._met:
            self._meet()
        if self._ending:
            return
        if self._requests.waiting or (self.outbox.paused and self._requests.full):
            # What is sent ahead of answers waits with its sender.
            self._read(False)
        self._requests.feed(data)

    def _meet(self) -> None:
        """Where a proxy speaks PROXY protocol it is only now known who has come."""
        self._met = True
        address = address_of(self.transport.getPeer())
        if address == self.conversation.address:
            return
        self._leave()
        leave = self._door.enter(address)
        if leave is None:
            self._ending = "refused"
            self.transport.abortConnection()
            return
        self._leave, self.conversation.address = leave, address

    def readConnectionLost(self) -> None:
        self._half_closed = True
        if self._ending:
            # It has heard us: there is nothing more to wait for.
            self.outbox.when_sent(self.transport.loseConnection)
        else:
            self._requests.end()

    def writeConnectionLost(self) -> None:
        if not self._ending:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        self._requests.stop()
        self.outbox.stopProducing()
        self.conversation.lost()
        self._leave()
        self._door.closed(self, self._ending or _why(reason))
        self._ending = self._ending or "lost"

    # What our transport asks of us, as its producer.

    def pauseProducing(self) -> None:
        self.outbox.pauseProducing()
        if self._requests.full:
            self._read(False)

    def resumeProducing(self) -> None:
        self.outbox.resumeProducing()
        self._requests.go_on()
        self.conversation.reader_has_room()

    def stopProducing(self) -> None:
        self.outbox.stopProducing()

    # How it goes on, and how it ends.

    def _progressed(self) -> None:
        """As much was answered as could be."""
        if self.conversation.closing:
            self._end(self.conversation.closing)
            return
        if self._timer is not None and self.conversation.proved:
            self._stop_timer()
        if self._requests.waiting or (self.outbox.paused and self._requests.full):
            return
        if not self._half_closed:
            self._read(True)
        elif not self.conversation.streaming:
            self._end("done")

    def leave_off(self) -> None:
        """Carry out no further request, and end once the one under way is answered."""
        self.conversation.closing = self.conversation.closing or GOING_DOWN
        if self._requests.waiting and not self._ending:
            self._stop_timer()
            self._timer = self._door.clock.callLater(LINGER_SECONDS, self._too_late)
        else:
            self._end(self.conversation.closing)

    def _end(self, why: str) -> None:
        """Let the peer have what it was told already, then end the connection."""
        if self._ending:
            return
        self._ending = why
        if why != "done":
            self._stop_timer()
            self._timer = self._door.clock.callLater(LINGER_SECONDS, self._too_late)
        self._requests.stop()
        self.conversation.ending()
        self.outbox.when_sent(self._close)

    def _close(self) -> None:
        can_linger = ITCPTransport.providedBy(self.transport) and not ISSLTransport.providedBy(self.transport)
        if can_linger and not self._half_closed and self._ending != GOING_DOWN:
            self._read(True)
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def _too_late(self) -> None:
        self._timer = None
        if self._ending:
            self.transport.abortConnection()
        else:
            self._end(self.conversation.closing or "never authorized")

    def _write(self, data: bytes) -> None:
        self.transport.write(data)

    def _overflowed(self) -> None:
        self._ending = self._ending or "too slow"
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None:
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
        self.rounds = Rounds(clock)
        self._metrics = metrics
        self._peers = PeerCount(lambda: limits().connections_per_address)
        self._stopping: list[Deferred[None]] = []
        self.connections: dict[LineProtocol, float] = {}
        """With the time since which each has been here."""
        if metrics is not None:
            metrics.queued(door, self.queued_bytes)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """None, which refuses the connection, where its address has too many."""
        address = address_of(addr)
        leave = self.enter(address)
        return None if leave is None else LineProtocol(self, address, leave)

    def enter(self, address: str) -> Callable[[], None] | None:
        """Count a connection of this address: gives what counts it out, or None where there are too many."""
        leave = self._peers.enter(address)
        if leave is None:
            self._log.info("{door}: {address} has too many connections; one more is refused", door=self.door, address=address)
        return leave

    def stop(self) -> Deferred[None]:
        """End all connections, each with the answer that is under way; fires when none is left, within some seconds."""
        stopped: Deferred[None] = Deferred()
        if not self.connections:
            stopped.callback(None)
            return stopped
        self._stopping.append(stopped)
        for connection in tuple(self.connections):
            connection.leave_off()
        return stopped

    def queued_bytes(self) -> int:
        """How much waits for slow readers."""
        return sum(connection.outbox.queued_bytes for connection in self.connections)

    def opened(self, connection: LineProtocol) -> None:
        self.connections[connection] = self.clock.seconds()
        if self._metrics is not None:
            self._metrics.connection_opened(self.door)

    def closed(self, connection: LineProtocol, reason: str) -> None:
        """`reason` is a word or two of ours."""
        since = self.connections.pop(connection)
        self._log.info(
            "{door} connection of {address} ended after {seconds:.1f} s: {why}",
            door=self.door,
            address=connection.conversation.address,
            seconds=self.clock.seconds() - since,
            why=reason,
        )
        if not self.connections:
            stopping, self._stopping = self._stopping, []
            for stopped in stopping:
                stopped.callback(None)
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
