"""What all doors on plain streams of bytes have in common: who may connect, for how long without proof, and how a connection ends.

A `StreamProtocol` is one connection, a `StreamFactory` makes them and knows those there are.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

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

from gameroom.doors.outbox import Outbox
from gameroom.doors.peers import PeerCount, address_of
from gameroom.settings import Limits

if TYPE_CHECKING:
    from gameroom.metrics import Metrics

LINGER_SECONDS = 5.0
"""How long a connection that we end has to take our last answer, and may still send: closed at once, its unread bytes would destroy it."""

GOING_DOWN = "going down"
"""Why connections end when the daemon does."""

_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))
"""Seconds until a silent peer is asked whether it lives, between questions, and how many: the system's default is hours."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class StreamProtocol(Protocol):
    """One connection. It is its transport's streaming producer.

    A subclass says what happens with what comes (`received`) and at the turns of a connection's life: the methods up to `lost`.
    """

    __slots__ = ("_leave", "_met", "_reading", "_timer", "address", "connected", "ending", "factory", "half_closed", "outbox", "transport")

    transport: Any
    factory: Any
    outbox_class: ClassVar[type[Outbox]] = Outbox
    """Of what kind its outbox is."""

    def __init__(self, factory: StreamFactory, address: str, leave: Callable[[], None]) -> None:
        self.factory = factory
        self.address = address
        """The peer's host."""
        self.ending = ""
        """Why it is ended, in a word or two, from when that has begun."""
        self.half_closed = False
        """Whether the peer has sent its last byte."""
        self.outbox = self.outbox_class(self._write, factory.limits().queue_bytes, self._overflowed)
        self._leave = leave
        self._met = False
        self._reading = True
        self._timer: IDelayedCall | None = None

    # What a subclass says.

    def received(self, data: bytes) -> None:
        """The peer has sent this."""
        raise NotImplementedError

    def said_all(self) -> None:
        """The peer has sent its last byte, and may still read."""
        raise NotImplementedError

    def reads_again(self) -> None:
        """The peer has taken what it was sent."""

    def never_proved(self) -> None:
        """The time without proof is over; `proved` would have ended it."""
        self.end("never authorized")

    def met(self) -> None:
        """Its address is another one than that of who connected: a proxy has said so."""

    def last_words(self) -> None:
        """It begins to end: what is said now is the last."""

    def lost(self) -> None:
        """The connection is gone."""

    # What Twisted tells us.

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            _tune(self.transport)
        self.transport.registerProducer(self, True)
        self._timer = self.factory.clock.callLater(self.factory.seconds_without_proof(), self._too_late)
        self.factory.opened(self)

    def dataReceived(self, data: bytes) -> None:
        if not self._met:
            self._meet()
        if not self.ending:
            self.received(data)

    def _meet(self) -> None:
        """Where a proxy speaks PROXY protocol it is only now known who has come."""
        self._met = True
        address = address_of(self.transport.getPeer())
        if address == self.address:
            return
        self._leave()
        leave = self.factory.enter(address)
        if leave is None:
            self.ending = "refused"
            self.transport.abortConnection()
            return
        self._leave, self.address = leave, address
        self.met()

    def readConnectionLost(self) -> None:
        self.half_closed = True
        if self.ending:
            # It has heard us: there is nothing more to wait for.
            self.outbox.when_sent(self.transport.loseConnection)
        else:
            self.said_all()

    def writeConnectionLost(self) -> None:
        if not self.ending:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        self.outbox.stopProducing()
        try:
            self.lost()
        finally:
            # Whatever breaks there: who is not counted out would keep others from coming, and the daemon from going.
            self._leave()
            self.factory.closed(self, self.ending or _why(reason))
            self.ending = self.ending or "lost"

    # What our transport asks of us, as its producer.

    def pauseProducing(self) -> None:
        self.outbox.pauseProducing()

    def resumeProducing(self) -> None:
        self.outbox.resumeProducing()
        self.reads_again()

    def stopProducing(self) -> None:
        self.outbox.stopProducing()

    # How it goes on, and how it ends.

    def proved(self) -> None:
        """The peer has shown that it belongs here: it may stay."""
        if not self.ending:
            self._stop_timer()

    def leave_off(self) -> None:
        """The daemon goes down."""
        self.end(GOING_DOWN)

    def end(self, why: str) -> None:
        """Let the peer have what it was told already, then end the connection."""
        if self.ending:
            return
        self.ending = why
        self.outbox.sealed = True
        if why != "done":
            self.linger()
        self.last_words()
        self.outbox.when_sent(self._close)

    def linger(self) -> None:
        """From now on the connection has so long for whatever is still to be done."""
        self._stop_timer()
        self._timer = self.factory.clock.callLater(LINGER_SECONDS, self._too_late)

    def read(self, wanted: bool) -> None:
        """Whether more of what the peer sends is to be read."""
        if wanted == self._reading or self.half_closed:
            return
        self._reading = wanted
        if wanted:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def _close(self) -> None:
        can_linger = ITCPTransport.providedBy(self.transport) and not ISSLTransport.providedBy(self.transport)
        if can_linger and not self.half_closed and self.ending != GOING_DOWN:
            self.read(True)
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def _too_late(self) -> None:
        self._timer = None
        if self.ending:
            self.transport.abortConnection()
        else:
            self.never_proved()

    def _write(self, data: bytes) -> None:
        self.transport.write(data)

    def _overflowed(self) -> None:
        self.ending = self.ending or "too slow"
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class StreamFactory(Factory):
    """Makes the connections of one door, and ends them. `protocol(factory, address, leave)` makes one."""

    _log = Logger()
    noisy = False
    UNAUTHENTICATED_SECONDS: ClassVar[float] = 10.0
    """Where the configuration says nothing a peer has so long for its first valid token."""

    def __init__(self, *, door: str, clock: IReactorTime, limits: Callable[[], Limits], metrics: Metrics | None = None) -> None:
        self.door = door
        self.clock = clock
        self.limits = limits
        self.metrics = metrics
        self._peers = PeerCount(lambda: limits().connections_per_address)
        self._stopping: list[Deferred[None]] = []
        self.connections: dict[Any, float] = {}
        """With the time since which each has been here."""
        if metrics is not None:
            metrics.queued(door, self.queued_bytes)

    def make(self, address: str, leave: Callable[[], None]) -> StreamProtocol:
        """A connection of a peer that may come in; `leave` counts it out."""
        raise NotImplementedError

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """None, which refuses the connection, where its address has too many."""
        address = address_of(addr)
        leave = self.enter(address)
        return None if leave is None else self.make(address, leave)

    def seconds_without_proof(self) -> float:
        """How long a peer may be here, in all, before its first valid token."""
        seconds = self.limits().unauthenticated_seconds
        return self.UNAUTHENTICATED_SECONDS if seconds is None else seconds

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

    def opened(self, connection: StreamProtocol) -> None:
        self.connections[connection] = self.clock.seconds()
        if self.metrics is not None:
            self.metrics.connection_opened(self.door)

    def closed(self, connection: StreamProtocol, reason: str) -> None:
        """`reason` is a word or two of ours."""
        since = self.connections.pop(connection)
        self._log.info(
            "{door} connection of {address} ended after {seconds:.1f} s: {why}",
            door=self.door,
            address=connection.address,
            seconds=self.clock.seconds() - since,
            why=reason,
        )
        if not self.connections:
            stopping, self._stopping = self._stopping, []
            for stopped in stopping:
                stopped.callback(None)
        if self.metrics is not None:
            self.metrics.connection_closed(self.door, reason)


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
