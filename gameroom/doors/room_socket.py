"""The room socket: one WebSocket connection of one member (docs/protocol/rooms.md).

What may be said and in which order is `gameroom.room_conversation`; here is who may come in, how messages go out, and how it ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from sys import intern
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from autobahn.websocket import ConnectionDeny
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.doors.lanes import FrameLane
from gameroom.doors.limited_websocket import LimitedWebSocket
from gameroom.doors.outbox import FrameOutbox
from gameroom.errors import GameroomError, RateLimited, ServerError, Unauthorized
from gameroom.interfaces import IFramedConnection
from gameroom.wire.room_messages import Outgoing, Told

if TYPE_CHECKING:
    from gameroom.referees.lockstep_lane import SeatLane

SUBPROTOCOL = "gameroom.v1"
PING_EVERY = 20.0
SILENCE = 60.0
PROOF_WITHIN = 10.0
"""Seconds for a good `hello`, unless `[limits] unauthenticated_seconds` says otherwise."""
CLOSING_GRACE = 5.0
"""Seconds that a closed connection has to take what it was still sent, before it is cut."""
GOING_AWAY = 1001

_PATH = re.compile(r"/socket/([0-9A-Za-z-]{1,64})")


class IsConversation(Protocol):
    """What this door needs of a `RoomConversation`."""

    @property
    def proved(self) -> bool:
        """Whether the peer has shown a valid seat token."""

    @property
    def lane(self) -> SeatLane | None:
        """The short way for packets, while there is one."""

    def refuse_packet(self, error: Exception) -> None: ...

    def text(self, data: bytes) -> None: ...

    def binary(self, data: bytes) -> None: ...

    def lost(self) -> None: ...


@implementer(IFramedConnection)
class RoomSocket(LimitedWebSocket):
    """One peer. `factory` is the `RoomSocketFactory`, and so is every setting."""

    __slots__ = ("_conversation", "_deadline", "_last_heard", "_last_ping", "_leave", "_opened", "address", "room_id", "upgraded")

    door = "web"
    exclusive = True
    binary = True
    events = Logger()

    def __init__(self, address: str, leave: Callable[[], None], upgraded: bool) -> None:
        super().__init__()
        self.address = address
        self.upgraded = upgraded
        """True where it began as an HTTP request of a `WebSite`, which has counted the connection."""
        self._leave = leave
        self.room_id = ""
        self._deadline: IDelayedCall | None = None
        self._conversation: IsConversation | None = None

    # -- how it begins

    def connectionMade(self) -> None:
        clock = self.factory.clock
        self.limits = self.factory.limits()
        self._opened = self._last_heard = self._last_ping = clock.seconds()
        self.outbox = FrameOutbox(self.transport, self.limits.queue_bytes, self._overflowed)
        seconds = self.limits.unauthenticated_seconds
        self._deadline = clock.callLater(PROOF_WITHIN if seconds is None else seconds, self._check_proof)
        super().connectionMade()
        self.factory.arrived(self)

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
        # One string for all the room's sockets.
        self.room_id = intern(path[1])
        return SUBPROTOCOL

    def onOpen(self) -> None:
        # The HTTP channel is registered until now where it handed us its transport.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self.outbox, True)
        self._conversation = self.factory.converse(self, self.limits)
        if self.factory.going_down:
            self.go_away()

    def is_proved(self) -> bool:
        return self._conversation is not None and self._conversation.proved

    # -- messages

    def take(self, payload: bytes, is_binary: bool) -> None:
        conversation = self._conversation
        assert conversation is not None, "it hears of the end when nothing is taken any more"
        try:
            if is_binary:
                conversation.binary(payload)
            else:
                conversation.text(payload)
            if self.closing_since is None and not self.has_lane:
                self._find_lane(conversation)
        except Exception:
            incident = str(uuid4())
            self.events.failure("web socket of {address} failed, incident {incident}", address=self.address, incident=incident)
            self.close(ServerError(incident=incident))

    def _find_lane(self, conversation: IsConversation) -> None:
        """From now on the packets of a player go the short way, where there is one."""
        seat = conversation.lane
        if seat is not None:
            self.go_by(FrameLane(seat, self.longest_plain(), conversation.refuse_packet))

    @property
    def outlet(self) -> FrameOutbox:
        return self.outbox

    def deliver(self, told: Told) -> None:
        self.outbox.deliver(told)

    deliver_all = deliver

    def catch_up(self, source: Callable[[], Outgoing | None]) -> None:
        if self.closing_since is None:
            self.outbox.catch_up(partial(_frame_of, source))

    def hold(self) -> None:
        if self.closing_since is None:
            self.outbox.hold()

    def let_go(self) -> None:
        if self.outbox.held:
            self.outbox.let_go()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for this reader."""
        return self.outbox.queued_bytes

    # -- time

    def look_at_clock(self, now: float) -> None:
        """Called about once a second: ping, notice silence, and cut what does not end by itself."""
        if self.closing_since is not None:
            if now - self.closing_since >= CLOSING_GRACE:
                self.transport.abortConnection()
            return
        if self._deadline is not None and self.is_proved():
            self._forget_deadline()
        if self.was_heard() or self.outbox.held:
            # Who is held has no chance to be heard.
            self._last_heard = now
        elif now - self._last_heard >= SILENCE:
            self.why = "silent"
            self.transport.abortConnection()
            return
        if now - self._last_ping >= PING_EVERY and self.state == self.STATE_OPEN:
            self._last_ping = now
            self.sendPing()

    def _check_proof(self) -> None:
        self._deadline = None
        if self.state == self.STATE_CONNECTING:
            self.why = "no handshake"
            self.transport.abortConnection()
        elif not self.is_proved():
            self.close(Unauthorized("a good hello did not come in time; join the room and connect again"))

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # -- the end

    def close(self, error: GameroomError | None) -> None:
        if error is None:
            self.close_with(1000, "")
        else:
            self.close_with(4000 + error.code, error.message)

    def go_away(self) -> None:
        """The daemon goes down: the peer shall come back in a moment."""
        if self.state == self.STATE_OPEN:
            self.close_with(GOING_AWAY, "the server goes down; come back in a moment")
        elif self.state == self.STATE_CONNECTING:
            self.transport.abortConnection()

    def closing(self) -> None:
        # Its own close frame is to be read.
        self.let_go()
        # Whoever closes may be in the midst of a broadcast, or of a change to the room: the conversation hears of it afterwards.
        if self._conversation is not None:
            self.factory.clock.callLater(0, self._tell_lost)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._forget_deadline()
        self._lane = None
        self.outbox.stopProducing()
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

    def _overflowed(self) -> None:
        """The peer reads too slowly."""
        # The outbox is closed for good: the close frame goes past it, whole and behind whole frames.
        self.outbox = FrameOutbox(self.transport, self.limits.queue_bytes, lambda: None)
        self.outbox.sealed = True
        self.close(RateLimited("this connection reads too slowly; connect again and catch up", retry_after=1.0))

    def _tell_lost(self) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.lost()


def _frame_of(source: Callable[[], Outgoing | None]) -> bytes | None:
    outgoing = source()
    return None if outgoing is None else outgoing.framed()
