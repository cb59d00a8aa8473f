"""The bytes of a connection to the game port: cut into envelopes, or left to somebody else (docs/client.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.client.stream import ConnectionFailed, Stream
from gameroom.wire.envelope import Envelope, EnvelopeReader, WrongVersion


@implementer(IHalfCloseableProtocol)
class EnvelopeStream(Stream):
    """`take(envelope)` gets each envelope and may raise `ConnectionFailed`, or `hold` those behind it."""

    def __init__(self, clock: IReactorTime, take: Callable[[Envelope], None], lost: Callable[[str], None]) -> None:
        super().__init__(lost)
        self._clock = clock
        self._take = take
        self._reader = EnvelopeReader()
        self._held = False
        self._successor: Any = None

    def hold(self) -> None:
        """Nothing more is taken, or read, until `release`."""
        self._held = True
        self.transport.pauseProducing()

    def release(self) -> None:
        """Go on, in a turn of its own: whoever releases hears nothing before they have done."""
        if self._held:
            self._held = False
            self._clock.callLater(0, self._resume)

    def _resume(self) -> None:
        if self._successor is None:
            self.dataReceived(b"")
            self._read_on()

    def _read_on(self) -> None:
        if not self._held and not self.ended:
            self.transport.resumeProducing()

    def succeed_by(self, protocol: IProtocol) -> None:
        """All further bytes, from behind the last envelope that was taken on, are `protocol`'s, and so is the end of the connection."""
        self._successor = protocol
        self.transport.unregisterProducer()
        self._go_on()
        protocol.makeConnection(self.transport)
        rest = self._reader.rest()
        if rest:
            protocol.dataReceived(rest)
        self._held = False
        self._read_on()

    def _read(self, data: bytes) -> None:
        if self._successor is not None:
            self._successor.dataReceived(data)
            return
        self._reader.feed(data)
        try:
            while (envelope := self._next()) is not None:
                self._heard = True
                self._take(envelope)
        except WrongVersion:
            raise ConnectionFailed("the server does not speak in envelopes; is it a gameroom, and this its game port?") from None

    def _next(self) -> Envelope | None:
        """An envelope that is there, where any is wanted."""
        return None if self.ended or self._held or self._successor is not None else self._reader.next()

    def readConnectionLost(self) -> None:
        """The server has said all that it says."""
        if IHalfCloseableProtocol.providedBy(self._successor):
            self._successor.readConnectionLost()
        else:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """It hears us no more."""
        if IHalfCloseableProtocol.providedBy(self._successor):
            self._successor.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._successor is not None:
            self._successor.connectionLost(reason)
        elif not self.ended:
            # What was held, or waits for its turn, came before the end.
            self._held = False
            self.dataReceived(b"")
        super().connectionLost(reason)
