"""RFC 6455 with limits: autobahn, with what it leaves open closed, and a short way past it for plain frames.

Bytes come in by `dataReceived` and complete messages leave by `take`, whoever parses them.
Autobahn gets whatever is not plain, and behaves as if it had got everything: tests hold the two ways against each other.
Everything that goes out passes the outbox, so that nothing overtakes anything and a slow reader costs a bounded amount.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from types import FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, Self

import txaio
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.defer import Deferred

from gameroom.doors.frames import EMPTY_PONG, EMPTY_PONG_BYTES, LONGEST, plain_frame
from gameroom.doors.lanes import FrameLane
from gameroom.doors.outbox import FrameOutbox
from gameroom.settings import Limits
from gameroom.shortcuts import let_take, sender

if TYPE_CHECKING:
    from gameroom.doors.websocket import RoomSocketFactory

HANDSHAKE_BYTES = 16 * 1024
LATE_BYTES = 64 * 1024
"""So much of what comes after a close is looked through for the peer's own close frame."""
AT_ONCE = 64
"""So many plain frames of one connection are taken before the others have their turn."""
BYTES_AT_ONCE = 4 * 1024
"""So much of what begins with other frames: more than a frame's head."""
TOO_BIG = 1009
_OPEN = WebSocketServerProtocol.STATE_OPEN


class LimitedWebSocket(WebSocketServerProtocol):
    """One WebSocket connection. A subclass sets `limits` and `outbox` before it calls our `connectionMade`, and keeps what is its own in slots.

    Its `is_proved` says whether long messages are taken yet, `take` gets messages whose text is valid UTF-8,
    and `closing` is called once when the connection begins to end.
    """

    # Not in `__dict__`, which is autobahn's and is emptied whenever autobahn is done: see `_leave_to_autobahn`.
    __slots__ = (
        "_fragments",
        "_heard",
        "_is_binary",
        "_lane",
        "_late_bytes",
        "_longest_plain",
        "_message",
        "closing_since",
        "connected",
        "current_frame",
        "data",
        "factory",
        "inside_message",
        "limits",
        "outbox",
        "state",
        "transport",
        "why",
    )

    log = txaio.make_logger(level="error")  # type: ignore[attr-defined]
    """autobahn's own: it has a line or two for each peer that breaks the protocol, and we have one for each connection."""

    factory: RoomSocketFactory
    limits: Limits
    outbox: FrameOutbox
    data: bytes
    _message: bytearray

    def __init__(self) -> None:
        super().__init__()
        self.connected = 0
        self.closing_since: float | None = None
        self.why = "gone"
        """Why it ended, in a word or two."""
        self.state, self.inside_message = self.STATE_CONNECTING, False
        self.current_frame: Any = None
        self._heard = True
        self._lane: FrameLane | None = None
        self._late_bytes = self._fragments = 0
        self._longest_plain = 0
        """Longer frames are left to autobahn; the first of them that is allowed raises it."""

    @classmethod
    def resting_as(cls, pristine: WebSocketServerProtocol) -> type[Self]:
        """The class of connections that are what this one is while autobahn has set nothing of its own in them."""
        ours = (MemberDescriptorType, cached_property)
        begun = {name: value for name, value in vars(pristine).items() if not isinstance(getattr(cls, name, None), ours)}
        begun.update({name: staticmethod(value) for name, value in begun.items() if isinstance(value, FunctionType)})
        return type(cls.__name__, (cls,), {"__slots__": (), "__module__": cls.__module__, "__doc__": cls.__doc__, **begun})

    # What each connection has for itself, made where autobahn asks for it.
    utf8validator = cached_property(lambda self: Utf8Validator())
    is_closed: cached_property[Deferred[Any]] = cached_property(lambda self: Deferred())

    @abstractmethod
    def is_proved(self) -> bool:
        """Whether the peer has shown that it belongs here."""

    @abstractmethod
    def take(self, payload: bytes, is_binary: bool) -> None:
        """One complete message has come."""

    def closing(self) -> None:
        """The connection is being closed, by either side, and no more is taken from it."""

    # -- in

    def dataReceived(self, data: bytes) -> None:
        lane = self._lane
        if lane is not None:
            if lane.plain and not (data := lane.take(data)):
                return
            if lane.had_enough:
                lane.had_enough = False
                self._take_later(data)
                return
        self._take_in(data)
        if self._lane is not None:
            self._look_at_lane()

    @property
    def has_lane(self) -> bool:
        """Whether there is a short way, and it is open."""
        return self._lane is not None and self._lane.seat.open

    def go_by(self, lane: FrameLane | None) -> None:
        """From now on packets go the short way; with None no longer."""
        if self._lane is not None:
            # It may be taking some just now.
            self._lane.plain = False
        self._lane = lane
        let_take(self.transport, None if lane is None else lane.take)
        if lane is not None:
            self.outbox.write = sender(self.transport)

    def _look_at_lane(self) -> None:
        """The short way begins where a message begins, and ends where it leads nowhere."""
        assert self._lane is not None
        if not self._lane.seat.open:
            self.go_by(None)
            return
        self._lane.plain = (
            self.state == _OPEN and self.closing_since is None and not self.data and self.current_frame is None and not self.inside_message
        )

    def longest_plain(self) -> int:
        """How many bytes a plain frame has at most."""
        return min(LONGEST, self.limits.websocket_message_bytes if self.is_proved() else self.limits.unauthenticated_bytes)

    def _take_in(self, data: bytes) -> None:
        self._heard = True
        if self.state == _OPEN:
            if self.data or self.current_frame is not None:
                data = self._go_on(data)
            if not self.inside_message:
                data = self._take_plain(data)
        elif self._is_endless(data):
            return
        if data:
            at_once = BYTES_AT_ONCE if self.state == _OPEN else len(data)
            self._leave_to_autobahn(data[:at_once])
            if len(data) > at_once:
                self._take_later(self._go_on(data[at_once:]))

    def _take_later(self, data: bytes) -> None:
        """This is taken in the next round of the reactor, and nothing is read before: one read can bring 10,000 frames."""
        if self.state != _OPEN:
            self.dataReceived(data)
        elif data:
            self.data = data
            self.transport.pauseProducing()
            self.factory.clock.callLater(0, self._take_rest)

    def _take_rest(self) -> None:
        data, self.data = self.data, b""
        if self.state != self.STATE_CLOSED:
            if self.outbox.reading:
                self.transport.resumeProducing()
            self.dataReceived(data)

    def _leave_to_autobahn(self, data: bytes) -> None:
        self._dataReceived(data)
        if self.state == _OPEN and self.current_frame is None and not self.inside_message:
            # Between the messages of an open connection autobahn knows nothing that the class does not: see `resting_as`.
            # Its hundred attributes would be most of the memory of an idle connection.
            self.__dict__.clear()

    def _go_on(self, data: bytes) -> bytes:
        """Autobahn has a part of a frame already. Gives what begins with a new frame."""
        begun = self.current_frame
        if begun is None:
            # Less than a frame's head, of which it has made nothing yet; or what was to be taken later.
            data, self.data = self.data + data, b""
            return data
        missing = begun.length - self.current_frame_masker.pointer()
        self._leave_to_autobahn(data[:missing])
        return data[missing:]

    def _take_plain(self, data: bytes) -> bytes:
        """Take the plain frames with which `data` begins; gives what is left, for autobahn."""
        at, end, left = 0, len(data), AT_ONCE
        while at < end and self.closing_since is None:
            if not left:
                self._take_later(data[at:])
                return b""
            left -= 1
            payload, is_binary, after = plain_frame(data, at, self._longest_plain)
            if after:
                at = after
                self.take(payload, is_binary)
            elif data.startswith(EMPTY_PONG, at) and end - at >= EMPTY_PONG_BYTES:
                # The answer to our ping: nothing to be told to anybody.
                at += EMPTY_PONG_BYTES
            else:
                break
        return data[at:]

    def _is_endless(self, data: bytes) -> bool:
        """Whether more comes before the connection is open, or behind its close, than is listened to."""
        if self.state == self.STATE_CONNECTING and len(self.data) + len(data) > HANDSHAKE_BYTES and b"\r\n\r\n" not in self.data + data:
            self.failHandshake("Request Header Fields Too Large", 431)
            return True
        if self.closing_since is not None:
            self._late_bytes += len(data)
            return self._late_bytes > LATE_BYTES
        return False

    def was_heard(self) -> bool:
        """Whether anything came since this was asked last."""
        heard, self._heard = self._heard, False
        if self._lane is not None and self._lane.heard:
            heard, self._lane.heard = True, False
        return heard

    def onPing(self, payload: bytes) -> None:
        if self.closing_since is None:
            self.sendPong(payload)

    def onMessageBegin(self, isBinary: bool) -> None:
        self._is_binary = isBinary
        self._message = bytearray()
        self._fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:
        if self.closing_since is not None:
            return
        self._fragments += 1
        size = len(self._message) + length
        if not self.is_proved() and size > self.limits.unauthenticated_bytes:
            self.close_with(4100, f"say hello first; until then a message has at most {self.limits.unauthenticated_bytes} bytes")
        elif size > self.limits.websocket_message_bytes:
            self.close_with(TOO_BIG, f"a message has at most {self.limits.websocket_message_bytes} bytes")
        elif self._fragments > self.limits.websocket_fragments:
            self.close_with(TOO_BIG, f"a message has at most {self.limits.websocket_fragments} fragments")
        elif length > self._longest_plain:
            self._longest_plain = self.longest_plain()

    def onMessageFrameData(self, payload: bytes) -> None:
        if self.closing_since is None:
            self._message += payload

    def onMessageFrameEnd(self) -> None:
        """Nothing: the message is put together as it comes."""

    def onMessageEnd(self) -> None:
        message = bytes(self._message)
        del self._message
        if self.closing_since is None:
            self.take(message, self._is_binary)

    # -- out

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        self.outbox.send(data)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """As autobahn's, which comes by here however a connection is closed."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self._begin_closing("closed by the peer" if isReply else f"closed with {code}")

    def close_with(self, code: int, reason: str) -> None:
        """Close, after all that waits; without effect on a connection that ends already."""
        if self.state == self.STATE_OPEN and self.closing_since is None:
            # autobahn's sendClose takes no 1001 and 1009 from an application.
            self.sendCloseFrame(code, reason.encode()[:123].decode(errors="ignore").encode())

    def dropConnection(self, abort: bool = False) -> None:
        """As autobahn's, but remembered: a peer that does not take the end of it is cut after a while."""
        self._begin_closing("refused" if self.state == self.STATE_CONNECTING else "dropped")
        super().dropConnection(abort)

    def _begin_closing(self, why: str) -> None:
        if self.closing_since is None:
            self.closing_since = self.factory.clock.seconds()
            self.outbox.sealed = True
            self.go_by(None)
            self.why = why
            self.closing()
