"""HTTP with limits: what a peer may cost before it has said something sensible.

Twisted's channel has no limit on bodies, and its timeout starts anew with each byte.
Here headers and body have deadlines in all, sizes are looked at before anything is kept, and who is refused hears why.
"""

# mypy: disallow-untyped-calls=False, disable-error-code="union-attr"
# Twisted's HTTP classes have few types, and say of what is always there while we are called that it may be None.
from __future__ import annotations

from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

import attrs
from twisted.internet.interfaces import IProtocol
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, parse_qs
from twisted.web.server import Request

from gameroom.doors.web.problems import HttpProblem
from gameroom.settings import Limits

if TYPE_CHECKING:
    from gameroom.doors.room_socket import RoomSocket
    from gameroom.doors.web.site import WebSite

_IN_MEMORY = 128 * 1024
"""Bytes of a body that are kept in memory; a longer one waits in a temporary file."""

AT_A_TIME = 16
"""Requests of one connection that are answered before others have their turn; a peer may have pipelined thousands."""


@attrs.frozen(kw_only=True)
class HttpLimits:
    """Sizes in bytes, times in seconds."""

    header_bytes: int = 16 * 1024
    body_bytes: int = 2 * 1024 * 1024
    header_seconds: float = 10.0
    """From the first byte of a request to the end of its headers."""
    body_seconds: float = 60.0
    idle_seconds: float = 60.0
    """Between two requests."""
    stall_seconds: float = 60.0
    """While the peer takes nothing of an answer."""
    linger_seconds: float = 2.0
    """How long a refused peer is listened to, so that it can read why before the connection goes."""

    def with_limits(self, limits: Limits) -> HttpLimits:
        """The same with what the operator has set."""
        seconds = limits.unauthenticated_seconds
        return attrs.evolve(
            self,
            header_bytes=limits.unauthenticated_bytes,
            body_bytes=limits.http_body_bytes,
            header_seconds=self.header_seconds if seconds is None else seconds,
        )


class LimitedRequest(Request):
    """A request whose body is bounded and never parsed as a form."""

    channel: LimitedChannel
    content: IO[bytes]
    defaultContentType = None

    def gotLength(self, length: int | None) -> None:
        self.content = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115, the request closes it

    def handleContentChunk(self, data: bytes) -> None:
        if self.content.tell() + len(data) > self.channel.limits.body_bytes:
            self.channel.refuse(self.channel.too_long())
        else:
            self.content.write(data)

    def parseCookies(self) -> None:
        """There are none: whoever is logged in says so in `Authorization`."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.content.seek(0)
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, query = path.partition(b"?")
        self.args = parse_qs(query, 1)
        self.process()


class LimitedChannel(HTTPChannel):
    """One HTTP connection; `limits` and `leave` are set by its site, which has `rounds`."""

    site: WebSite
    limits: HttpLimits = HttpLimits()
    leave: Callable[[], None]
    ended: Callable[[], None]
    maxHeaders = 100

    _idle = False
    _refused = False
    _in_a_row = 0
    _resting = False
    """Until others have had their turn."""
    _parsing = False
    _until = _mark = 0.0
    """Until when requests are answered in a row, and how much time those before took, as `Rounds` has it."""
    _socket: RoomSocket | None = None

    def connectionMade(self) -> None:
        self.totalHeadersSize = self.limits.header_bytes
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            return
        if self._idle:
            self._idle = False
            self.setTimeout(self.limits.header_seconds)
        if not (self.paused or self._handlingRequest or self._parsing) and self._is_over():
            self._rest()
            self._networkProducer.pauseProducing()
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Answer what came and this, as far as it is our turn."""
        if self._parsing:
            LineReceiver.dataReceived(self, data)
            return
        rounds = self.site.rounds
        now = rounds.seconds()
        self._until = rounds.until(now, self._mark)
        self._parsing = True
        try:
            LineReceiver.dataReceived(self, data)
        finally:
            self._parsing = False
            self._mark = rounds.spend(rounds.seconds() - now, self._mark)

    def _is_over(self) -> bool:
        """Whether others are to have their turn before our next request."""
        rounds = self.site.rounds
        now = rounds.seconds()
        return now >= (self._until if self._parsing else rounds.until(now, self._mark))

    def _rest(self) -> None:
        self._resting = self.paused = True
        self.site.rounds.turn(self._go_on, self._mark)

    def lineReceived(self, line: bytes) -> None:
        if self._receivedHeaderSize + len(line) > self.limits.header_bytes:
            self.refuse(self._too_many_headers())
        elif not self._refused:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(self._too_many_headers())

    def headerReceived(self, line: bytes) -> bool:
        if self._receivedHeaderCount >= self.maxHeaders:
            self.refuse(self._too_many_headers())
            return False
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        if self.length is not None and self.length > self.limits.body_bytes:
            self.refuse(self.too_long())
            return
        if self.length != 0:
            self.setTimeout(self.limits.body_seconds)
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        if self._socket is not None:
            # Frames that came right behind the handshake.
            self._socket.dataReceived(data)
        elif not self._refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        if not self._refused:
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        self._idle = True
        self._savedTimeOut = self.limits.idle_seconds
        self._in_a_row += 1
        if not self._resting and (self._in_a_row >= AT_A_TIME or self._is_over()):
            self._rest()
        super().requestDone(request)
        if self._resting:
            self._networkProducer.pauseProducing()

    def _go_on(self) -> None:
        if not self._resting:
            # It was lost meanwhile.
            return
        self._resting, self._in_a_row = False, 0
        if not self._waitingForTransport:
            self._parse_on()

    def _parse_on(self) -> None:
        """Take up what came meanwhile, and read further."""
        self.paused = False
        self._networkProducer.resumeProducing()
        self._parse(b"")

    def pauseProducing(self) -> None:
        """The peer does not read: neither do we, and requests that it has pipelined wait where they are."""
        super().pauseProducing()
        self.paused = True
        self._networkProducer.pauseProducing()
        if self._handlingRequest:
            self.setTimeout(self.limits.stall_seconds)

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._handlingRequest:
            self.setTimeout(None)
        if not self._resting:
            self._parse_on()
        else:
            self._networkProducer.pauseProducing()

    def timeoutConnection(self) -> None:
        """As Twisted's, without a line in the log for each browser that keeps a connection open."""
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        super().connectionLost(reason)
        self._resting = False
        self.leave()
        self.ended()

    def refuse(self, problem: HttpProblem) -> None:
        """Answer without having read the request, and end the connection.

        Closing at once would take the answer back: a peer that is still sending gets a reset instead of it.
        """
        if self._refused:
            return
        self._refused = True
        self.transport.write(problem.as_response())
        self.abortTimeout = 1
        self.setTimeout(self.limits.linger_seconds)

    def too_long(self) -> HttpProblem:
        return HttpProblem(413, f"a body has at most {self.limits.body_bytes} bytes")

    def _too_many_headers(self) -> HttpProblem:
        return HttpProblem(431, f"a request has at most {self.limits.header_bytes} bytes of headers, in {self.maxHeaders} lines")

    def hand_over(self, socket: RoomSocket, handshake: bytes) -> None:
        """The request upgrades to a WebSocket: from here on the transport is the socket's."""
        transport: Any = self.transport
        self.setTimeout(None)
        self._socket = socket
        self.leave = self.ended = _nothing
        # With TLS or PROXY protocol our transport is a wrapper, which holds us under another name.
        for holder in ("wrappedProtocol", "protocol"):
            if getattr(transport, holder, None) is self:
                setattr(transport, holder, socket)
                break
        else:
            self.dataReceived = socket.dataReceived  # type: ignore[method-assign]
            self.connectionLost = socket.connectionLost  # type: ignore[method-assign]
        IProtocol(socket).makeConnection(transport)
        transport.resumeProducing()
        socket.dataReceived(handshake)


def _nothing() -> None:
    pass
