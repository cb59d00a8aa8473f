"""The game port: parties, rooms and GameServers for native game clients, in 32-bit envelopes (docs/protocol/game-port.md).

It is AuthProxy and Party Manager in one: a client says AUTH, HOST or JOIN, and is connected to its room, or to its room's GameServer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from gameroom import room_views
from gameroom.doors.envelope_protocol import AT_ONCE, EnvelopeProtocol
from gameroom.doors.frames import LONGEST
from gameroom.doors.game_port_seats import Seated, Seats
from gameroom.doors.lanes import EnvelopeLane
from gameroom.doors.outbox import EnvelopeOutbox, Outbox
from gameroom.doors.streams import StreamFactory
from gameroom.errors import BadState, GameroomError, InvalidRequest, NotFound, Unauthorized
from gameroom.interfaces import IPipeConnection
from gameroom.room_conversation import RoomConversation
from gameroom.settings import Limits
from gameroom.shortcuts import let_take, sender
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON
from gameroom.wire.room_messages import Outgoing, Told
from gameroom.wire.room_parts import RoomParts, plain_room_message

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.catalogue import Catalogue
    from gameroom.gameservers.link import ServerLink
    from gameroom.metrics import Metrics
    from gameroom.presence import Presence
    from gameroom.registry import Registry
    from gameroom.room import LivingRoom

MOST_PARTS = 64
"""Envelopes of one room message, as the frames of a WebSocket's."""


@implementer(IPipeConnection)
class GamePortConnection(EnvelopeProtocol):
    """One client. `factory` is the `GamePortFactory`."""

    __slots__ = ("_conversation", "_en", "_lane", "_leave_presence", "_parts", "_parts_left")

    says = wire.FROM_CLIENT - {wire.PING, wire.PONG, wire.ERROR}
    door = "game"
    exclusive = True
    binary = True
    outbox_class = EnvelopeOutbox

    def __init__(self, factory: GamePortFactory, address: str, leave: Callable[[], None]) -> None:
        super().__init__(factory, address, leave)
        self._conversation: RoomConversation | None = None
        self._lane: EnvelopeLane | None = None
        self._leave_presence: Callable[[], None] | None = None
        self._en = JSON
        """The client's encoding, as it came in."""
        self._parts: RoomParts | None = None
        self._parts_left = MOST_PARTS

    # What comes.

    def dataReceived(self, data: bytes) -> None:
        lane, had_enough = self._lane, False
        if lane is not None:
            if lane.plain and not (data := lane.take(data)):
                return
            had_enough, lane.had_enough = lane.had_enough, False
        if self._conversation is not None and self._parts is None and self.between and not had_enough:
            data = self._take_plain(data, self._conversation)
        if data:
            super().dataReceived(data)
        self._look_at_lane()

    def _look_at_lane(self) -> None:
        """The short way begins where an envelope begins that is a room message, and ends where it leads nowhere."""
        lane, conversation = self._lane, self._conversation
        plain = conversation is not None and self._parts is None and self.between
        if lane is not None:
            if lane.seat.open and plain:
                lane.plain = True
            else:
                self._leave_lane()
        elif plain and conversation is not None and (seat := conversation.lane) is not None:
            longest = min(LONGEST, self.factory.limits().websocket_message_bytes)
            lane = self._lane = EnvelopeLane(seat, longest, conversation.refuse_packet)
            lane.plain = True
            self.outbox.write = sender(self.transport)
            let_take(self.transport, lane.take)

    def _leave_lane(self) -> None:
        if self._lane is not None:
            self._lane.plain = False
            self._lane = None
            let_take(self.transport, None)

    def _take_plain(self, data: bytes, conversation: RoomConversation) -> bytes:
        """The short way for whole room messages, with which nearly every read of a play begins. Gives what is left."""
        most, at, size = self.factory.limits().websocket_message_bytes, 0, len(data)
        for _ in range(AT_ONCE):
            message, is_binary, after = plain_room_message(data, at, most)
            if not after:
                break
            at = after
            if is_binary:
                conversation.binary(message)
            else:
                conversation.text(message)
            if at == size or not self.free:
                break
        return data[at:]

    def counts(self, type: int) -> bool:
        # The conversation counts room messages itself, and parts are counted by their message.
        return self._conversation is None or type not in (wire.ROOM, wire.ROOM_PART)

    def count(self) -> None:
        if self._conversation is not None:
            self._conversation.count()
        else:
            super().count()

    def take(self, type: int, en: int, data: bytes) -> Deferred[None] | None:
        if type in (wire.ROOM, wire.ROOM_PART):
            self._room_message(type, en, data)
            return None
        message = self.decode(type, en, data)
        return Deferred.fromCoroutine(self._DEEDS[type](self, message, en))

    async def _auth(self, message: dict[str, Any], en: int) -> None:
        self._require_unseated()
        await self._connect(await self.factory.seats.known(message["id"], self.proved), en)

    async def _host(self, message: dict[str, Any], en: int) -> None:
        self._require_unseated()
        await self._connect(await self.factory.seats.hosted(message, self.address, self.proved), en)

    async def _join_party(self, message: dict[str, Any], en: int) -> None:
        self._require_unseated()
        await self._connect(await self.factory.seats.joined(message, self.address, self.proved), en)

    async def _say_leave(self, message: dict[str, Any], en: int) -> None:
        await self._perform("leave")

    async def _say_start(self, message: dict[str, Any], en: int) -> None:
        await self._perform("start")

    _DEEDS: ClassVar[dict[int, Callable[[GamePortConnection, dict[str, Any], int], Coroutine[Any, Any, None]]]] = {
        wire.AUTH: _auth,
        wire.HOST: _host,
        wire.JOIN: _join_party,
        wire.LEAVE: _say_leave,
        wire.START: _say_start,
    }

    async def _perform(self, kind: str) -> None:
        """What is short for a room message; it was counted as an envelope already."""
        done = self._seated().perform({"type": kind})
        if isinstance(done, Deferred):
            await done

    def _room_message(self, type_: int, en: int, data: bytes) -> None:
        conversation = self._seated()
        if self._parts is None:
            self._parts, self._parts_left = RoomParts(self.factory.limits().websocket_message_bytes), MOST_PARTS
        self._parts_left -= 1
        try:
            whole = self._parts.take(type_, en, data)
            if whole is None and not self._parts_left:
                raise InvalidRequest(f"a room message comes in at most {MOST_PARTS} envelopes")
        except InvalidRequest as error:
            # What follows would be taken for messages that they are not.
            self.refuse(error, "no room message", en)
            return
        if whole is None:
            return
        self._parts = None
        if en == JSON:
            conversation.text(whole)
        else:
            conversation.binary(whole)

    def _seated(self) -> RoomConversation:
        if self._conversation is not None:
            return self._conversation
        if self.is_proved:
            raise BadState("you are in no room; say AUTH, HOST or JOIN first")
        raise Unauthorized("say AUTH, HOST or JOIN first")

    def _require_unseated(self) -> None:
        if self._conversation is not None:
            raise BadState("you are in a room on this connection; say LEAVE, or open another connection")

    # Into a room.

    async def _connect(self, seated: Seated, en: int) -> None:
        """The client is seated: it is told so and welcomed by its room, or its room's GameServer sees to that."""
        room = seated.room
        details = None if room.referee.at_server else await self.factory.details(room)
        if self.ending:
            await self.factory.seats.give_up(seated)
            return
        member = room.latest.find(seated.user_id)
        if member is None or room.closing:
            raise NotFound("this room is gone, or you are out of it")
        at_server = room.referee.at_server
        if at_server and member.seat is None:
            raise BadState("this game is played at a GameServer, which has seats for players alone; who looks on sees it at the web door")
        self.proved()
        self._en = en
        # Where it is played at a GameServer that says the next thing, and what the room says is dropped.
        self.outbox.sealed = at_server
        if not at_server:
            self.say(wire.encode(wire.CONNECTED, room_views.connected(room, member, details, seated.token), en))
        if member.account:
            self._leave_presence = self.factory.presence.arrive(member.account, member.user_id, self.door)
        conversation = self._conversation = RoomConversation.of_member(
            registry=self.factory.registry, connection=self, room=room, user_id=member.user_id, limits=self.factory.limits
        )
        try:
            conversation.begin()
            if at_server and not (self.joining or self.ending):
                raise BadState("the play has just ended; say AUTH once more")
        except BaseException:
            self._out()
            raise

    def enter(self, link: ServerLink) -> None:
        self._leave_lane()
        self.outbox.sealed = True
        self.join(link, self._greeting, self._en)

    def _greeting(self, said: dict[str, Any]) -> bytes:
        """CONNECTED of a GameServer, with what is ours to say. Raises `NotFound` for one who is out of the room meanwhile."""
        assert self._conversation is not None
        room = self._conversation.room
        fields = room_views.connected(room, room.latest.member(self._conversation.user_id), said.get("details"))
        return wire.encode(wire.CONNECTED, fields, self._en)

    def not_joined(self) -> None:
        self._out()

    # What the room says.

    @property
    def outlet(self) -> Outbox:
        return self.outbox

    def deliver(self, told: Told) -> None:
        self.outbox.deliver(told)

    deliver_all = deliver

    def catch_up(self, source: Callable[[], Outgoing | None]) -> None:
        if not self.outbox.sealed:
            self.outbox.catch_up(partial(_envelopes_of, source))

    def close(self, error: GameroomError | None) -> None:
        if error is None:
            self.end("left")
        else:
            self.refuse(error, f"closed with {error.code}")
        # Whoever closes may be in the midst of a broadcast, or of a change to the room: the room hears of it afterwards.
        self.factory.clock.callLater(0, self._out)

    # How it ends.

    def pauseProducing(self) -> None:
        super().pauseProducing()
        # What it says waits, too, until it reads.
        self._leave_lane()

    def end(self, why: str) -> None:
        self._leave_lane()
        super().end(why)

    def heard_all(self) -> None:
        if self._conversation is None:
            super().heard_all()
        else:
            self._conversation.when_answered(super().heard_all)

    def lost(self) -> None:
        self._out()

    def _out(self) -> None:
        """This connection is of no room any more."""
        self._leave_lane()
        self.outbox.sealed = bool(self.ending)
        conversation, self._conversation, self._parts = self._conversation, None, None
        leave, self._leave_presence = self._leave_presence, None
        if leave is not None:
            leave()
        if conversation is not None:
            conversation.lost()


def _envelopes_of(source: Callable[[], Outgoing | None]) -> bytes | None:
    outgoing = source()
    return None if outgoing is None else outgoing.enveloped()


class GamePortFactory(StreamFactory):
    """The game port, as an `IProtocolFactory` for any stream endpoint.

    In a Twisted program of your own, beside a registry and what it stands on:

    >>> game_port = GamePortFactory(registry=registry, accounts=accounts, catalogue=catalogue, presence=presence, clock=reactor, limits=Limits)
    >>> serverFromString(reactor, "tcp:7002").listen(game_port)
    """

    def __init__(
        self,
        *,
        registry: Registry,
        accounts: Accounts,
        catalogue: Catalogue,
        presence: Presence,
        clock: IReactorTime,
        limits: Callable[[], Limits],
        metrics: Metrics | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        super().__init__(door=GamePortConnection.door, clock=clock, limits=limits, metrics=metrics)
        self.registry = registry
        self.presence = presence
        self.seats = Seats(registry=registry, accounts=accounts, random_bytes=random_bytes)
        self._catalogue = catalogue

    def make(self, address: str, leave: Callable[[], None]) -> GamePortConnection:
        return GamePortConnection(self, address, leave)

    async def details(self, room: LivingRoom) -> dict[str, str]:
        """What CONNECTED says of the room's game; nothing for an engine of the room's own."""
        try:
            shown = await self._catalogue.detail(room.options.game_id) if room.options.game_id else {}
        except NotFound:
            # A room outlives its game.
            shown = {}
        return {name: shown.get(name, "") for name in ("name", "description", "game_type")}
