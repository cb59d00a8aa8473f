"""What the lobby tells a peer without being asked: rooms that change, who comes and goes, and the peer's own room.

One `News` for all connections of a door makes each push once; a `Subscription` is one connection's share of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from gameroom.errors import GameroomError, RateLimited
from gameroom.interfaces import IConnection
from gameroom.room_conversation import RoomConversation
from gameroom.room_views import lobby_entry
from gameroom.rules.sessions import Account, Session
from gameroom.settings import Limits
from gameroom.wire import lines
from gameroom.wire.commands import PAGE
from gameroom.wire.room_messages import Outgoing, Outgoings

if TYPE_CHECKING:
    from gameroom.presence import Presence
    from gameroom.registry import Registry
    from gameroom.room import LivingRoom
    from gameroom.rules.room import Room

CLOSED = "CLOSED"
"""The status of a room that is gone, which no living room has."""


class News:
    """Watches rooms and presence for all subscriptions of one door, and keeps the list's entries ready to be sent."""

    def __init__(self, *, registry: Registry, presence: Presence, clock: IReactorTime, limits: Callable[[], Limits]) -> None:
        self.registry = registry
        self.clock = clock
        self.limits = limits
        self._presence = presence
        self._entries: dict[str, tuple[Room, orjson.Fragment]] = {}
        self._list: bytes | None = None
        """The answer to LIST_ROOMS of whoever is in no private room, until a room changes."""
        self._private_rooms: list[LivingRoom] = []
        """As it was when the answer was made."""
        self._rooms: dict[Subscription, None] = {}
        self._players: dict[Subscription, None] = {}
        self._stop_players: Callable[[], None] | None = None
        self._waiting: deque[tuple[LivingRoom, bool, bytes]] = deque()
        self._telling = False
        registry.watch(self._room_changed)

    def entry(self, room: LivingRoom) -> orjson.Fragment:
        """The room's entry in LIST_ROOMS, written once for each change of the room."""
        value = room.value
        kept = self._entries.get(value.room_id)
        if kept is not None and kept[0] is value:
            return kept[1]
        entry = orjson.Fragment(orjson.dumps(lobby_entry(value)))
        if not room.closing:
            self._entries[value.room_id] = value, entry
        return entry

    def whole_list(self, account: Account) -> bytes | None:
        """The answer to LIST_ROOMS without a page, as a line, written once for each change of any room.

        None for who is in a private room and so sees more than others.
        """
        if self._list is None:
            rooms = self.registry.everything()
            self._private_rooms = [room for room in rooms if not room.options.public]
            public = [room for room in reversed(rooms) if room.options.public]
            self._list = lines.ok({"rooms": [self.entry(room) for room in public[:PAGE]]})
        if any(room.value.find(account.username) is not None for room in self._private_rooms):
            return None
        return self._list

    def rooms(self, subscription: Subscription, wanted: bool) -> None:
        """Tell it of rooms, or no longer."""
        if wanted:
            self._rooms[subscription] = None
        else:
            self._rooms.pop(subscription, None)

    def players(self, subscription: Subscription, wanted: bool) -> None:
        """Tell it of players who come and go, or no longer."""
        if wanted:
            self._players[subscription] = None
        else:
            self._players.pop(subscription, None)
        if self._players and self._stop_players is None:
            self._stop_players = self._presence.watch(self._players_changed)
        elif not self._players and self._stop_players is not None:
            self._stop_players()
            self._stop_players = None

    def _room_changed(self, room: LivingRoom, closed: bool) -> None:
        """Everybody hears of one change before anybody hears of the next, even of one that comes of telling."""
        self._list = None
        if closed:
            self._entries.pop(room.room_id, None)
        if not self._rooms:
            return
        entry = {**lobby_entry(room.value), "status": CLOSED} if closed else self.entry(room)
        self._waiting.append((room, closed, lines.push("ROOM_UPDATED", {"room": entry})))
        if self._telling:
            return
        self._telling = True
        try:
            while self._waiting:
                change = self._waiting.popleft()
                for subscription in tuple(self._rooms):
                    if subscription in self._rooms:
                        subscription.room_changed(*change)
        finally:
            self._telling = False

    def _players_changed(self, online: list[str], offline: list[str]) -> None:
        line = lines.push("PLAYER_PRESENCE", {"online": online, "offline": offline})
        for subscription in tuple(self._players):
            subscription.push(line)


class LobbyPeer(Protocol):
    """The connection that pushes go to."""

    closing: str
    """Set to a word or two, it ends the connection after the answer that is under way."""
    push: Callable[[bytes], None]
    catch_up: Callable[[Callable[[], bytes | None]], None]


class Subscription:
    """What one connection has asked to be told, on behalf of one session."""

    _log = Logger()

    def __init__(self, news: News, session: Session, peer: LobbyPeer) -> None:
        self.session = session
        self.peer = peer
        self.push = peer.push
        self._news = news
        self._user_id = session.account.username
        self._following = False
        self._private: set[str] = set()
        self._seats: dict[str, LobbySeat] = {}

    async def change(self, rooms: bool | None, presence: bool | None) -> None:
        """Turn pushes on or off; None leaves them as they are."""
        if presence is not None:
            self._news.players(self, presence)
        if rooms is None or rooms == self._following:
            return
        self._following = rooms
        self._news.rooms(self, rooms)
        if not rooms:
            self._let_go()
            return
        for room in await self._news.registry.rooms(self.session.account):
            if self._is_in(room):
                if not room.options.public:
                    self._private.add(room.room_id)
                self._sit(room.room_id)

    def end(self) -> None:
        """Nothing more is told."""
        self._following = False
        self._news.rooms(self, False)
        self._news.players(self, False)
        self._let_go()

    def room_changed(self, room: LivingRoom, closed: bool, line: bytes) -> None:
        """A room that has changed, if this account may know of it, and the messages of one that it is in."""
        mine = not closed and self._is_in(room)
        if room.options.public or mine or (closed and room.room_id in self._private):
            self.push(line)
        if mine:
            if not room.options.public:
                self._private.add(room.room_id)
            if room.room_id not in self._seats:
                # The room is in the middle of something: it is met once that is over.
                self._news.clock.callLater(0, self._sit, room.room_id)
        else:
            self._private.discard(room.room_id)

    def conversation(self, room_id: str) -> RoomConversation | None:
        """This connection's talk with a room that it hears."""
        self._sit(room_id)
        seat = self._seats.get(room_id)
        return None if seat is None else seat.conversation

    def forget(self, seat: LobbySeat) -> None:
        """The room has let go of a seat."""
        if self._seats.get(seat.room_id) is seat:
            del self._seats[seat.room_id]

    def _is_in(self, room: LivingRoom) -> bool:
        return room.value.find(self._user_id) is not None

    def _sit(self, room_id: str) -> None:
        """Hear what the room says from now on, beginning with its welcome, if we are in it and do not yet."""
        if not self._following or room_id in self._seats:
            return
        try:
            room = self._news.registry.here(room_id)
        except GameroomError:
            return
        if self._is_in(room):
            seat = self._seats[room_id] = LobbySeat(self, room, self._news)
            try:
                seat.conversation.begin()
            except GameroomError as error:
                seat.close(error)

    def _let_go(self) -> None:
        self._private.clear()
        seats, self._seats = self._seats, {}
        for seat in seats.values():
            seat.conversation.lost()


@implementer(IConnection)
class LobbySeat:
    """A lobby connection as its account's room sees it: room messages go out as pushes."""

    door = "lobby"
    exclusive = False
    binary = False
    outlet = None

    def __init__(self, subscription: Subscription, room: LivingRoom, news: News) -> None:
        self.room_id = room.room_id
        self._subscription = subscription
        self._head = b'{"type":"ROOM_MESSAGE","payload":{"room_id":' + orjson.dumps(room.room_id) + b',"body":'
        self.conversation = RoomConversation.of_member(
            registry=news.registry, connection=self, room=room, user_id=subscription.session.account.username, limits=news.limits
        )

    def deliver(self, outgoing: Outgoing) -> None:
        if not outgoing.binary:
            self._subscription.push(self._line(outgoing.data))

    def deliver_all(self, outgoings: Outgoings) -> None:
        for outgoing in outgoings.messages:
            self.deliver(outgoing)

    def catch_up(self, source: Callable[[], Outgoing | None]) -> None:
        def line() -> bytes | None:
            outgoing = source()
            if outgoing is None:
                return None
            return b"" if outgoing.binary else self._line(outgoing.data)

        self._subscription.peer.catch_up(line)

    def close(self, error: GameroomError | None) -> None:
        """The room has nothing more to do with this connection; the connection itself goes on."""
        self._subscription.forget(self)
        self.conversation.lost()
        _end_storm(self._subscription.peer, error)
        if error is not None:
            self._subscription.push(self._line(orjson.dumps({"type": "error", "code": error.code, "message": error.message})))

    def _line(self, data: bytes) -> bytes:
        if data.startswith(b'{"type":"chat",'):
            message: dict[str, Any] = orjson.loads(data)
            if "id" in message:
                # A player of a controller room is to answer it.
                return self._head + data + b"}}\n"
            return lines.push("CHAT", {"room_id": self.room_id, "from": message["from"], "text": message["text"]})
        if b"\n" in data:
            # A member's own bytes may be spread over lines; here a line is a message.
            data = orjson.dumps(orjson.loads(data))
        return self._head + data + b"}}\n"


@implementer(IConnection)
class Unheard:
    """A lobby connection that has not asked for its room's messages: it may speak, and hears nothing."""

    door = "lobby"
    exclusive = False
    binary = False
    outlet = None

    def __init__(self, peer: LobbyPeer) -> None:
        self._peer = peer

    def deliver(self, outgoing: Outgoing) -> None:
        pass

    def deliver_all(self, outgoings: Outgoings) -> None:
        pass

    def catch_up(self, source: Callable[[], Outgoing | None]) -> None:
        pass

    def close(self, error: GameroomError | None) -> None:
        _end_storm(self._peer, error)


def _end_storm(peer: LobbyPeer, error: GameroomError | None) -> None:
    """A room that lets go of a connection for what it floods the room with means the connection."""
    if isinstance(error, RateLimited):
        peer.closing = "flood"
