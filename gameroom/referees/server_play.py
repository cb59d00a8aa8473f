"""One play at a GameServer: its players, and their ways there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred

from gameroom.errors import BadState
from gameroom.gameservers.frames import FramedMember
from gameroom.gameservers.values import Participant
from gameroom.interfaces import IFramedConnection, IPipeConnection, IRoom

if TYPE_CHECKING:
    from gameroom.gameservers.link import ServerLink
    from gameroom.gameservers.servers import GameServer
    from gameroom.rules.room import Player


@attrs.frozen(eq=False)
class _Way:
    """A connection of a player's, and the link that it has."""

    connection: Any
    link: ServerLink
    framed: FramedMember | None
    """None where the connection itself is the pipe."""

    def finish(self) -> None:
        (self.link if self.framed is None else self.framed).finish()

    def close(self) -> None:
        (self.link if self.framed is None else self.framed).close()


class ServerPlay:
    """A play that a GameServer is ready for. Each player has one way to it at most, and none is opened before the one before is gone."""

    def __init__(self, room: IRoom, server: GameServer, players: Sequence[Player]) -> None:
        self.server = server
        self._room = room
        self._players = {player.user_id: Participant(seat=player.seat, id=player.user_id, name=player.name) for player in players}
        self._ways: dict[str, _Way] = {}
        self._closing: dict[str, list[ServerLink]] = {}
        """By user_id: links that are not gone yet."""

    @property
    def players(self) -> Sequence[str]:
        """The user_ids of those who have not left."""
        return tuple(self._players)

    def join(self, user_id: str, connection: Any) -> None:
        """A connection of a member is welcome: where it can carry envelopes and its member plays, it is joined to the GameServer.

        The way that the member had before is closed.
        """
        entrant = self._players.get(user_id)
        piped = IPipeConnection.providedBy(connection)
        if entrant is None or self.server.direct or not (piped or IFramedConnection.providedBy(connection)):
            return
        self._leave(user_id)
        link = self.server.link(entrant, self._after(user_id))
        if piped:
            self._ways[user_id] = _Way(connection, link, None)
            connection.enter(link)
        else:
            framed = FramedMember(connection, link, self._fields_of(user_id))
            self._ways[user_id] = _Way(connection, link, framed)
            framed.open()

    def send(self, user_id: str, data: bytes, connection: Any) -> None:
        """A binary frame of a member. Raises `InvalidRequest` for what is no envelopes, and `BadState` where there is no way to the GameServer."""
        if user_id not in self._players:
            raise BadState("only players speak to the game's server, and you watch")
        way = self._ways.get(user_id)
        if way is None or way.connection is not connection or way.framed is None:
            raise BadState("this connection has no way to the game's server; say hello on it")
        way.framed.send(data)

    def part(self, user_id: str, connection: Any) -> None:
        """A connection of a member is gone."""
        way = self._ways.get(user_id)
        if way is not None and way.connection is connection:
            self._leave(user_id)

    def left(self, user_id: str) -> None:
        """A player is gone for good; the GameServer is told who is left."""
        if self._players.pop(user_id, None) is None:
            return
        self._leave(user_id)
        if self._players:
            self.server.players_are(tuple(self._players.values()))

    def end(self) -> None:
        """The play is over: what the GameServer still says reaches the players, and it ends."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            way.finish()
        self.server.end()

    def _leave(self, user_id: str) -> None:
        way = self._ways.pop(user_id, None)
        if way is None:
            return
        closing = self._closing.setdefault(user_id, [])
        closing.append(way.link)
        way.close()
        way.link.gone().addCallback(lambda _: self._gone(user_id, way.link))

    def _gone(self, user_id: str, link: ServerLink) -> None:
        closing = self._closing[user_id]
        closing.remove(link)
        if not closing:
            del self._closing[user_id]

    def _after(self, user_id: str) -> Deferred[None] | None:
        """Fires when no older link of the member is there; None where none is."""
        closing = self._closing.get(user_id)
        return Deferred.fromCoroutine(_all_gone(tuple(closing))) if closing else None

    def _fields_of(self, user_id: str) -> Callable[[Any], dict[str, Any]]:
        return lambda details: self._room.connected_fields(user_id, details)


async def _all_gone(links: Sequence[ServerLink]) -> None:
    # No DeferredList: one that is cancelled fires as if all was well.
    for link in links:
        await link.gone()
