"""A member whose envelopes travel as binary frames: the web door's way to a GameServer (docs/protocol/game-port.md, "AuthProxy").

The game port joins two transports and reads nothing of what passes (`gameroom.doors.pipe`). Here frames are taken apart:
a frame of the member's carries whole envelopes, and of the GameServer's bytes each envelope is one frame.
Neither side gathers what the other does not take: the GameServer's transport is paused while the member reads slowly,
and the member is held (`IFramedConnection.hold`) while the GameServer does.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any
from uuid import uuid4

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.errors import BadState, GameroomError, InvalidRequest, ServerError
from gameroom.gameservers.link import ServerLink
from gameroom.wire import game_port
from gameroom.wire.envelope import HEADER_BYTES, VERSION, EnvelopeReader
from gameroom.wire.room_messages import Outgoing

HUNG_UP = "the game's server has ended your connection; say hello to be joined anew"


class _State(Enum):
    OPENING, OPEN, DONE = "opening", "open", "done"


def check_envelopes(data: bytes) -> None:
    """Raises `InvalidRequest` for what is not one or more whole envelopes. What they hold is the GameServer's concern."""
    at, size = 0, len(data)
    while at < size and data[at] == VERSION and size - at >= HEADER_BYTES:
        at += HEADER_BYTES + (data[at + 2] << 8 | data[at + 3])
    if at != size or not size:
        raise InvalidRequest("a binary frame to the game's server carries one or more whole envelopes: version 1, type and encoding, length, data")


@implementer(IPushProducer)
class FramedMember(Protocol):
    """One `IFramedConnection` of a member, joined to one link.

    It is made and told to `open`. Whoever made it calls `finish` when the play is over and `close` when the connection is gone or another
    takes its place; nothing is delivered after that but what the GameServer still says behind `finish`.
    When the GameServer refuses the member or hangs up, the member is given an ERROR envelope, and this is of no more use.
    """

    _log = Logger()

    def __init__(self, connection: Any, link: ServerLink, connected: Callable[[Any], dict[str, Any]]) -> None:
        """`connected(details)` gives CONNECTED's fields for this member."""
        self.connection = connection
        self.link = link
        self._fields = connected
        self._state = _State.OPENING
        self._told = False
        """Whether the end of it is known to the member, or is nothing to be told."""
        self._reader = EnvelopeReader()
        self._broke = False
        """Whether it has said what is no envelope."""
        self._pulled = False
        """Whether the connection takes envelopes of us as it has room for them."""

    def open(self) -> None:
        """Open the link. Never raises."""
        self.link.open().addCallbacks(self._opened, self._refused).addErrback(self._failed)

    # What the member says.

    def send(self, data: bytes) -> None:
        """A binary frame of the member. Raises `InvalidRequest`, and `BadState` while there is no way to the GameServer."""
        if self._state is _State.OPENING:
            raise BadState("you are not joined with the game's server yet; wait for its CONNECTED")
        if self._state is _State.DONE:
            raise BadState(HUNG_UP)
        check_envelopes(data)
        self._transport.write(data)

    def pauseProducing(self) -> None:
        """The GameServer does not read."""
        if self._state is _State.OPEN:
            self.connection.hold()

    def resumeProducing(self) -> None:
        self.connection.let_go()

    def stopProducing(self) -> None:
        self.connection.let_go()

    # What the GameServer says.

    def _opened(self, said: dict[str, Any]) -> None:
        if self._state is _State.DONE:
            return
        self._state = _State.OPEN
        self._deliver(game_port.encode(game_port.CONNECTED, self._fields(said.get("details"))))
        self.link.on_finish = self.link.on_close = self._part
        self.link.take(self)
        if self._state is _State.OPEN:
            self._transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        if self._broke:
            return
        self._reader.feed(data)
        if not self._pulled:
            self._pulled = True
            self.connection.catch_up(self._pull)
            if self._pulled:
                # It is not read as fast as it comes.
                self._transport.pauseProducing()

    def _pull(self) -> Outgoing | None:
        """The next envelope, as a frame; None when there is no whole one, and more may be read."""
        try:
            envelope = self._reader.next()
        except InvalidRequest:
            self._broken()
            envelope = None
        if envelope is not None:
            return Outgoing(envelope.to_bytes(), binary=True)
        self._pulled = False
        self._transport.resumeProducing()
        return None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._part()
        self.link.lost()
        self._tell(BadState(HUNG_UP))

    @property
    def _transport(self) -> Any:
        return self.link.transport

    # How it ends.

    def finish(self) -> None:
        """The play is over: the member says nothing more, and hears what the GameServer still says."""
        self._told = True
        self._state = _State.DONE
        self.link.finish()

    def close(self) -> None:
        """No more in either direction."""
        self._told = True
        self._state = _State.DONE
        self.link.close()

    def _part(self) -> None:
        """Nothing of the member's goes to the transport any more."""
        if self._state is _State.OPEN:
            self._state = _State.DONE
        self._transport.unregisterProducer()
        self.connection.let_go()

    def _broken(self) -> None:
        """What comes of the GameServer is no envelope: where the next one would begin is not known."""
        self._broke = True
        self._reader.rest()
        self._tell(BadState("the game's server said what is no envelope, and your connection to it has ended; say hello to be joined anew"))
        self._state = _State.DONE
        self.link.close()

    def _refused(self, failure: Failure) -> None:
        self._state = _State.DONE
        if failure.check(CancelledError):
            return
        if isinstance(failure.value, GameroomError):
            self._tell(failure.value)
        else:
            self._failed(failure)

    def _failed(self, failure: Failure) -> None:
        """Our fault."""
        incident = str(uuid4())
        self._log.failure("a member could not be joined with a GameServer, incident {incident}", failure, incident=incident)
        self._tell(ServerError(incident=incident))
        self.close()

    def _tell(self, error: GameroomError) -> None:
        """Say how it ended, once, behind all that the GameServer said."""
        if not self._told:
            self._told = True
            self._deliver(game_port.error(error))

    def _deliver(self, envelope: bytes) -> None:
        self.connection.deliver(Outgoing(envelope, binary=True))
