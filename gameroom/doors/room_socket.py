"""The room socket: one WebSocket connection of one member (docs/protocol/rooms.md).

autobahn speaks RFC 6455 here; what may be said and in which order is `gameroom.room_conversation`.
Bytes come in by `dataReceived` and complete messages leave by `RoomSocket.take`, whoever parses them.
Everything that goes out passes the `Outbox`, so that nothing overtakes anything and a slow reader costs a bounded amount.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import txaio
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket import ConnectionDeny
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.doors.peers import ReaderPace
from gameroom.errors import GameroomError, InvalidRequest, RateLimited, ServerError, Unauthorized
from gameroom.interfaces import IConnection
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.doors.websocket import RoomSocketFactory

SUBPROTOCOL = "gameroom.v1"
PING_EVERY = 20.0
SILENCE = 60.0
PROOF_WITHIN = 10.0
"""Seconds for a good `hello`, unless `[limits] unauthenticated_seconds` says otherwise."""
CLOSING_GRACE = 5.0
"""Seconds that a closed connection has to take what it was still sent, before it is cut."""
HANDSHAKE_BYTES = 16 * 1024
GOING_AWAY = 1001
TOO_BIG = 1009

_PATH = re.compile(r"/socket/([0-9A-Za-z-]{1,64})")


class IsConversation(Protocol):
    """What this door needs of a `RoomConversation`."""

    @property
    def proved(self) -> bool:
        """Whether the peer has shown a valid seat token."""

    def text(self, data: bytes) -> None: ...

    def binary(self, data: bytes) -> None: ...

    def lost(self) -> None: ...


@implementer(IConnection)
class RoomSocket(WebSocketServerProtocol):
    """One peer. `factory` is the `RoomSocketFactory`, and so is every setting."""

    door = "web"
    exclusive = True
    binary = True
    events = Logger()
    log = txaio.make_logger(level="error")  # type: ignore[attr-defined]
    """autobahn's own: it has a line or two for each peer that breaks the protocol, and we have one for each connection."""

    factory: RoomSocketFactory
    address = ""
    room_id = ""

    def __init__(self, address: str, leave: Callable[[], None], upgraded: bool) -> None:
        super().__init__()
        self.address = address
        self.upgraded = upgraded
        """True where it began as an HTTP request of a `WebSite`, which has counted the connection."""
        self._leave = leave
        self._conversation: IsConversation | None = None
        self._closing_since: float | None = None
        self.why = "gone"
        self._heard = True
        self._fragments = 0
        self._message = bytearray()

    # -- how Twisted calls us

    def connectionMade(self) -> None:
        clock = self.factory.clock
        self._limits = self.factory.limits()
        self._opened = self._last_heard = self._last_ping = clock.seconds()
        self._outbox = ReaderPace(self.transport, self._limits.queue_bytes, self._overflowed)
        seconds = self._limits.unauthenticated_seconds
        self._deadline: IDelayedCall = clock.callLater(PROOF_WITHIN if seconds is None else seconds, self._check_proof)
        super().connectionMade()
        self.factory.arrived(self)

    def dataReceived(self, data: bytes) -> None:
        self._heard = True
        if self.state == self.STATE_CONNECTING and len(self.data) + len(data) > HANDSHAKE_BYTES and b"\r\n\r\n" not in self.data + data:
            self.failHandshake("Request Header Fields Too Large", 431)
            return
        self._dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        self._outbox.stopProducing()
        self.factory.departed(self)
        self._leave()
        self._tell_lost()
        self._connectionLost(reason)
        self.events.info(
            "web socket of {address} in room {room_id} ended after {seconds:.1f} s: {why}",
            address=self.address,
            room_id=self.room_id,
            seconds=self.factory.clock.seconds() - self._opened,
            why=self.why,
        )

    # -- how autobahn calls us

    def onConnect(self, request: Any) -> str:
        """Say who may come in; gives the subprotocol. See "WebSocket" in docs/protocol/rooms.md."""
        path = _PATH.fullmatch(request.path)
        if path is None:
            raise ConnectionDeny(ConnectionDeny.NOT_FOUND, "no such socket")
        origin = self.http_headers.get("origin")
        if origin is not None and not self.factory.allows(origin.strip(), self.http_headers["host"].strip()):
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "this origin may not come here")
        if SUBPROTOCOL not in request.protocols:
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, f"the subprotocol {SUBPROTOCOL} is required")
        self.room_id = path[1]
        return SUBPROTOCOL

    def onOpen(self) -> None:
        # The HTTP channel is registered until now where it handed us its transport.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self._outbox, True)
        self._conversation = self.factory.converse(self, self._limits)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        self._outbox.send(data)

    def onPing(self, payload: bytes) -> None:
        if self._closing_since is None:
            self.sendPong(payload)

    def onMessageBegin(self, isBinary: bool) -> None:
        self.message_is_binary = isBinary
        self._message = bytearray()
        self._fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:
        if self.failedByMe or self._closing_since is not None:
            return
        self._fragments += 1
        size = len(self._message) + length
        if not self._is_proved() and size > self._limits.unauthenticated_bytes:
            self._end(InvalidRequest(f"say hello first; until then a message has at most {self._limits.unauthenticated_bytes} bytes"))
        elif size > self._limits.websocket_message_bytes:
            self._fail(TOO_BIG, f"a message has at most {self._limits.websocket_message_bytes} bytes")
        elif self._fragments > self._limits.websocket_fragments:
            self._fail(TOO_BIG, f"a message has at most {self._limits.websocket_fragments} fragments")

    def onMessageFrameData(self, payload: bytes) -> None:
        if not self.failedByMe and self._closing_since is None:
            self._message += payload

    def onMessageFrameEnd(self) -> None:
        """Nothing: the message is put together as it comes."""

    def onMessageEnd(self) -> None:
        message, self._message = self._message, bytearray()
        if not self.failedByMe:
            self.take(bytes(message), self.message_is_binary)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self._begin_closing("closed by the peer" if isReply else f"closed with {code}")

    def dropConnection(self, abort: bool = False) -> None:
        """As autobahn's, but remembered: a peer that does not take the end of it is cut after a while."""
        self._begin_closing("refused" if self.state == self.STATE_CONNECTING else "dropped")
        super().dropConnection(abort)

    # -- messages

    def take(self, payload: bytes, is_binary: bool) -> None:
        """Hand one complete message to the conversation. Text is valid UTF-8 by now."""
        conversation = self._conversation
        if conversation is None or self._closing_since is not None:
            return
        try:
            if is_binary:
                conversation.binary(payload)
            else:
                conversation.text(payload)
        except Exception:
            incident = str(uuid4())
            self.events.failure("web socket of {address} failed, incident {incident}", address=self.address, incident=incident)
            self._end(ServerError(incident=incident))

    def deliver(self, outgoing: Outgoing) -> None:
        if self._closing_since is None:
            self._outbox.send(outgoing.frame)

    def catch_up(self, source: Callable[[], Outgoing | None]) -> None:
        if self._closing_since is None:
            self._outbox.catch_up(partial(_frame_of, source))

    def close(self, error: GameroomError | None) -> None:
        if error is None:
            self._close_with(1000, "")
        else:
            self._close_with(4000 + error.code, error.message)

    def go_away(self) -> None:
        """The daemon goes down: the peer shall come back in a moment."""
        if self.state == self.STATE_OPEN:
            self._close_with(GOING_AWAY, "the server goes down; come back in a moment")
        else:
            self.transport.abortConnection()

    # -- time

    def look_at_clock(self, now: float) -> None:
        """Called about once a second: ping, notice silence, and cut what does not end by itself."""
        if self._closing_since is not None:
            if now - self._closing_since >= CLOSING_GRACE:
                self.transport.abortConnection()
            return
        if self._heard:
            self._heard = False
            self._last_heard = now
        elif now - self._last_heard >= SILENCE:
            self.why = "silent"
            self.transport.abortConnection()
            return
        if now - self._last_ping >= PING_EVERY and self.state == self.STATE_OPEN:
            self._last_ping = now
            self.sendPing()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for this reader."""
        return self._outbox.queued_bytes

    def _check_proof(self) -> None:
        if self.state == self.STATE_CONNECTING:
            self.why = "no handshake"
            self.transport.abortConnection()
        elif not self._is_proved():
            self._end(Unauthorized("a good hello did not come in time; join the room and connect again"))

    def _is_proved(self) -> bool:
        return self._conversation is not None and self._conversation.proved

    # -- the end

    def _end(self, error: GameroomError) -> None:
        """This door closes the connection by itself, so the conversation is told at once."""
        self.close(error)
        self._tell_lost()

    def _fail(self, code: int, reason: str) -> None:
        self._close_with(code, reason)
        self._tell_lost()

    def _overflowed(self) -> None:
        """The peer reads too slowly. We may be in the midst of a broadcast, so the conversation hears of it afterwards."""
        error = RateLimited("this connection reads too slowly; connect again and catch up", retry_after=1.0)
        # The outbox is closed for good: write the close frame past it, whole and behind whole frames.
        self._outbox = ReaderPace(self.transport, self._limits.queue_bytes, lambda: None)
        self.close(error)
        self.factory.clock.callLater(0, self._tell_lost)

    def _close_with(self, code: int, reason: str) -> None:
        if self.state == self.STATE_OPEN and self._closing_since is None:
            # autobahn's sendClose takes no 1001 and 1009 from an application.
            self.sendCloseFrame(code, reason.encode()[:123].decode(errors="ignore").encode())

    def _begin_closing(self, why: str) -> None:
        if self._closing_since is None:
            self._closing_since = self.factory.clock.seconds()
            self.why = why

    def _tell_lost(self) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.lost()


def _frame_of(source: Callable[[], Outgoing | None]) -> bytes | None:
    outgoing = source()
    return None if outgoing is None else outgoing.frame
