"""The bytes of a connection to a door: sent as its transport can take them; and cut into lines, for the doors that speak those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.errors import InvalidRequest
from gameroom.wire import lines

LONGEST: Final = 8 * 1024 * 1024
"""Bytes of a line that a server may send: a list of 200 full rooms has under two million."""


NOT_A_WORD: Final = " before it said a word; is it a gameroom, and this its port?"
"""What a person is asked where a connection ends like that: an HTTP server does so, or one that speaks TLS."""


class ConnectionFailed(Exception):
    """There is no connection, or no longer one. Its text is one line for people."""


@implementer(IPushProducer)
class Stream(Protocol):
    """Bytes both ways; who inherits reads them in `_read`, which may raise `ConnectionFailed`. `lost(why)` is called once, at the end."""

    transport: Any

    def __init__(self, lost: Callable[[str], None]) -> None:
        self.ended = False
        """Whether no further message is told of."""
        self._tell_lost = lost
        self._why = ""
        self._heard = False
        self._paused = False
        self._waiting: list[Deferred[None]] = []

    def _read(self, data: bytes) -> None:
        """What has come."""
        raise NotImplementedError

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        if self.ended:
            return
        try:
            self._read(data)
        except ConnectionFailed as error:
            self._fail(str(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended = True
        self._go_on()
        self._tell_lost(self._why or self._in_words(reason.value or ConnectionLost()))

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def writable(self) -> Deferred[None] | None:
        """None, or what fires once the transport takes more or is gone."""
        if not self._paused or self.ended:
            return None
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def close(self) -> None:
        """End it once what was sent is out."""
        self.ended = True
        # TLS waits for its producer to have done.
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._go_on()

    def abort(self) -> None:
        """End it at once."""
        self.ended = True
        self.transport.abortConnection()
        self._go_on()

    def _in_words(self, error: BaseException) -> str:
        return in_words(error) + ("" if self._heard or not isinstance(error, ConnectionDone) else NOT_A_WORD)

    def _fail(self, why: str) -> None:
        self._why = why
        self.abort()

    def _go_on(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    # What our transport asks of us, as its producer.

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._go_on()

    def stopProducing(self) -> None:
        self._go_on()


class LineStream(Stream):
    """`line(message)` gets each line's object and may raise `ConnectionFailed`."""

    def __init__(self, line: Callable[[dict[str, Any]], None], lost: Callable[[str], None]) -> None:
        super().__init__(lost)
        self._take = line
        self._buffer = lines.LineBuffer()

    def _read(self, data: bytes) -> None:
        self._buffer.feed(data)
        try:
            while (line := self._next()) is not None:
                self._heard = True
                self._take(_object(line))
        except lines.LineTooLong:
            raise ConnectionFailed(f"the server sends a line of more than {LONGEST} bytes; is it a gameroom?") from None

    def _next(self) -> bytes | None:
        """A line that is there, where any is still wanted."""
        return None if self.ended else self._buffer.take(LONGEST)


def _object(line: bytes) -> dict[str, Any]:
    try:
        return lines.decode(line)
    except InvalidRequest:
        raise ConnectionFailed("the server does not speak JSON lines; is it a gameroom, and this its port?") from None


def in_words(error: BaseException) -> str:
    """What ended a connection, or kept it from being made, as one line for people."""
    if isinstance(error, ConnectionDone):
        return "the server closed the connection"
    if isinstance(error, ConnectionAborted):
        return "the connection was cut"
    if isinstance(error, ConnectionLost):
        return "the connection was lost"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused, so nothing listens there"
    if type(error).__module__ == "OpenSSL.SSL":
        return f"TLS: {_tls_reasons(error) or 'the handshake failed'}"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _tls_reasons(error: BaseException) -> str:
    """OpenSSL's reasons: a list of (library, function, reason)."""
    try:
        return "; ".join(reason[2] for reason in error.args[0])
    except (IndexError, TypeError):
        return " ".join(map(str, error.args))
