"""The byte pipe between a client and its GameServer (docs/protocol/game-port.md).

Theory. A pipe has two ends, and each end is the protocol of one transport. What comes at one is written to the other: an end's
`dataReceived` *is* the other transport's `write`, so nothing of ours runs for a message. Each end is the other transport's streaming
producer, so nobody's bytes gather here: a transport with more than 64 KiB to send stops the reading at the other end.

Each end goes through its steps by itself:

    open ──its peer says end of file──> the other end's transport is half-closed, once all is written
    open ──`let_go`: nobody wants to hear its peer any more──> what is queued is written, then it is half-closed; what still comes is thrown away
    both halves closed, or too long in one step ──> closed

A connection that is closed with unread bytes of its peer's is reset by the kernel, and that destroys what its peer has not read yet.
So one that is let go is still read, until its peer closes as well or LINGER_SECONDS have gone by.
TLS knows no half-closing: such a connection is closed as a whole where others are half-closed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPushProducer, IReactorTime, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.shortcuts import pass_on

if TYPE_CHECKING:
    from gameroom.gameservers.link import ServerLink

FLUSH_SECONDS: Final = 30.0
"""How long a peer that is let go has for reading what is queued for it; then its connection is aborted."""
LINGER_SECONDS: Final = 5.0
"""How long it is read after that."""
LOOK_SECONDS: Final = 30.0
"""How often it is looked whether a peer that has half-closed is there at all: nothing is read of it, so nothing else would tell."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class _End(Protocol):
    """One end of a pipe: the protocol of its transport, and the producer of the other end's."""

    other: _End

    def __init__(self, transport: Any, clock: IReactorTime, gone: Callable[[Failure], None]) -> None:
        self.transport: Any = transport
        self._clock = clock
        self._gone = gone
        self._timer: IDelayedCall | None = None
        self._halves = ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport)
        self.heard = True
        """What comes from the peer is passed on."""
        self.told = True
        """What is written here may be followed by more."""
        self._read_all = False
        self._written_all = False
        self._hurried = False
        """Whether the peer is not waited for, once it was told all."""

    def join(self, other: _End) -> None:
        """What comes from here goes there, from now on."""
        self.other = other
        self.dataReceived = other.transport.write  # type: ignore[method-assign]  # the point of it all
        other.transport.registerProducer(self, True)
        pass_on(self.transport, other.transport)

    # What Twisted tells the protocol of a transport.

    def readConnectionLost(self) -> None:
        self._read_all = True
        self.other.write_no_more()
        if self._written_all:
            self.transport.loseConnection()
        elif self.heard:
            self._after(LOOK_SECONDS, self._look)

    def writeConnectionLost(self) -> None:
        self._written_all = True
        if self._read_all or (self._hurried and not self.heard):
            self.transport.loseConnection()
        elif not self.heard:
            self._after(LINGER_SECONDS, self.transport.loseConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.heard = self.told = False
        self._stop_timer()
        self.other.let_go()
        self._gone(reason)

    # What the other end's transport asks of its producer.

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The other end's connection is lost; its `connectionLost` follows."""

    # How it ends.

    def write_no_more(self) -> None:
        """All that there is for the peer is written: half-close behind it."""
        if not self.told:
            return
        if not self._halves:
            self.let_go()
            return
        self.told = False
        # A transport does not close while it waits for a producer that it has paused.
        self.transport.unregisterProducer()
        self.transport.loseWriteConnection()

    def deafen(self) -> None:
        """Throw away what still comes from the peer, and let none of it wait, so that its end is heard."""
        self.dataReceived = _thrown_away  # type: ignore[method-assign]
        pass_on(self.transport, None)
        self.other.transport.unregisterProducer()
        if not self._read_all:
            self.transport.resumeProducing()

    def let_go(self) -> None:
        """Nobody hears the peer any more: write what is queued, then close, within a time."""
        if not self.heard:
            return
        self.heard = False
        self.deafen()
        if self._written_all:
            self.writeConnectionLost()
            return
        self._after(FLUSH_SECONDS, self.transport.abortConnection)
        if self._halves:
            self.write_no_more()
        else:
            self.told = False
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def hurry(self) -> None:
        """From now on it is closed as soon as all is written that it is to be told."""
        self._hurried = True
        if self._written_all:
            self.writeConnectionLost()

    def _look(self) -> None:
        """A connection that is half-closed and was reset is told nobody by epoll; the kernel knows."""
        self._timer = None
        handle = self.transport.getHandle()
        if isinstance(handle, socket.socket) and handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abortConnection()
        else:
            self._after(LOOK_SECONDS, self._look)

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._clock.callLater(seconds, call)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


class Pipe:
    """A client's transport and an open link's, joined. It needs nobody to hold it, and is over when both connections are.

    Of the client's protocol so far nothing is called any more but, in the end, `connectionLost`.
    Its CONNECTED is written to the transport already, and nobody is registered there as producer.
    `early` is what the client has sent behind its AUTH; the GameServer gets it first.
    """

    def __init__(self, transport: Any, link: ServerLink, early: bytes = b"", *, clock: IReactorTime) -> None:
        # Who calls the protocol of a connection: its transport, or what is wrapped around it, as with TLS.
        called_as = "wrappedProtocol" if isinstance(transport, ProtocolWrapper) else "protocol"
        client = _End(transport, clock, getattr(transport, called_as).connectionLost)
        server = _End(link.transport, clock, lambda _reason: link.lost())
        self._client, self._server = client, server
        link.on_finish, link.on_close = self._finished, self._closed
        client.join(server)
        server.join(client)
        setattr(transport, called_as, client)
        # It was paused, for what it said had nobody to go to. That it says no more, if so, comes again.
        transport.resumeProducing()
        if early:
            server.transport.write(early)
        link.take(server)

    def hurry(self) -> None:
        """The daemon goes down: a client that has heard all and does not close is not waited for."""
        self._client.hurry()

    def _finished(self) -> None:
        """The link half-closes the GameServer's connection, and closes it in the end; until then the client hears what still comes."""
        self._client.deafen()
        self._server.told = False

    def _closed(self) -> None:
        """The link closes its connection: nothing more is to come of either side."""
        self._client.let_go()


def _thrown_away(data: bytes) -> None:
    """What comes from a peer that nobody listens to any more."""
