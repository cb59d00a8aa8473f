"""Connections without a network for what passes bytes on: they half-close, and have producers, as Twisted's do."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint, ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

LOST = Failure(ConnectionLost())
DONE = Failure(ConnectionDone())


@implementer(ITCPTransport)
class Transport(StringTransport):
    """A connection that sends only when `flush` says so, as far as its protocol is concerned, and closes and half-closes as Twisted's do."""

    protocol: Any
    producer: Any
    half_closing = False
    half_closed = False
    aborted = False
    handle: Any = None

    def comes(self, data: bytes) -> None:
        """The peer has sent this."""
        assert self.producerState == "producing", "nothing is read of who is paused"
        self.protocol.dataReceived(data)

    def ends(self) -> None:
        """The peer has sent its last byte."""
        self.protocol.readConnectionLost()

    def is_lost(self, reason: Failure = LOST) -> None:
        """The connection is gone."""
        self.connected = self.disconnecting = False
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(reason)

    def fills(self) -> None:
        """More is queued than a transport takes."""
        self.producer.pauseProducing()

    def flush(self) -> None:
        """All that is queued is sent, and what waited for that is done; a producer that was paused would have to be asked first."""
        if self.disconnecting:
            self.is_lost(DONE)
        elif self.half_closing and not self.half_closed:
            assert self.producer is None, "a transport with a producer may be waiting for it"
            self.half_closed = True
            self.protocol.writeConnectionLost()

    def loseWriteConnection(self) -> None:
        assert self.connected, "nothing is done with a connection that is gone"
        assert not self.half_closing, "once"
        self.half_closing = True

    def loseConnection(self) -> None:
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.is_lost()

    def resumeProducing(self) -> None:
        self.producerState = "producing"

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def getHandle(self) -> Any:
        return self.handle

    def unregisterProducer(self) -> None:
        self.producer = None

    def getTcpNoDelay(self) -> bool:
        return True

    getTcpKeepAlive = getTcpNoDelay

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...


@implementer(IStreamClientEndpoint)
class Endpoint:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        protocol = protocolFactory.buildProtocol(None)
        self._transport.protocol = protocol
        protocol.makeConnection(self._transport)
        return succeed(protocol)
