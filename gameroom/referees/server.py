"""The referee of a server room: a GameServer, a program of the game's bundle, plays it (docs/protocol/rooms.md, "Server rooms").

It starts the GameServer, brings players to it, tells it who is gone, and ends with it. What is played is between the GameServer and its clients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gameroom.errors import BadState, InvalidRequest
from gameroom.gameservers.values import Participant, ServerEnd, ServerOrder
from gameroom.interfaces import IPipeConnection, IReferee, IRoom
from gameroom.referees.server_play import ServerPlay
from gameroom.wire.room_messages import size_of

if TYPE_CHECKING:
    from gameroom.catalogue import Catalogue
    from gameroom.gameservers.servers import GameServers
    from gameroom.rules.room import Player
    from gameroom.settings import Addresses
    from gameroom.wire.room_messages import Hello, Outgoing

ABANDONED = "abandoned"
"""Why a play is over whose players have all left; the other reasons are the GameServer's (`gameroom.gameservers.values`)."""


@implementer(IReferee)
class ServerReferee:
    """Brings a room's players to a GameServer of their own.

    `log(game_id, text)` writes to the log of the game's developer.
    """

    waits_for_ready = False
    keeps_seats = False
    packets_are_messages = False
    transactional = False
    acts_once = False
    begins_once = True

    def __init__(
        self,
        room: IRoom,
        *,
        gameservers: GameServers,
        catalogue: Catalogue,
        addresses: Addresses,
        log: Callable[[str, str], None] = lambda _, text: None,
    ) -> None:
        self._room = room
        self._gameservers = gameservers
        self._catalogue = catalogue
        self._addresses = addresses
        self._log = log
        self._refused = ""
        """What the developer was told last of why it cannot start."""
        self._starting: Deferred[None] | None = None
        self._play: ServerPlay | None = None
        """From when its GameServer is ready."""
        self._end: ServerEnd | None = None
        """How that GameServer's play has ended."""
        self._on = False
        """Whether the play has begun."""
        self._players: Sequence[str] = ()
        """The user_ids of those who began the play that is on, or that a restart has cut off."""
        self._owed: set[str] = set()
        """Who has not heard how the last play ended."""

    @property
    def at_server(self) -> bool:
        return self._on and self._play is not None and not self._play.server.direct

    @property
    def played_at(self) -> tuple[str, int] | None:
        play = self._play
        return (self._addresses.public_host, play.server.port) if play is not None and play.server.direct else None

    # A play begins and ends.

    def check_start(self) -> None:
        try:
            self._gameservers.check(self._room.made_from)
        except BadState as error:
            if self._refused != error.message:
                self._refused = error.message
                options = self._room.options
                self._log(options.game_id, f"room {self._room.room_id} (version {options.version}) could not start: {error.message}")
            raise

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        self._starting = Deferred.fromCoroutine(self._begin(players))
        return self._starting

    async def _begin(self, players: Sequence[Player]) -> None:
        options = self._room.options
        bundle = await self._catalogue.bundle(options.game_id, options.version, offline_too=True)
        if bundle.server is None or bundle.folder is None:
            raise BadState("this version of the game brings no GameServer along; tell its developer")
        order = ServerOrder(
            room_id=self._room.room_id,
            game_id=options.game_id,
            version=options.version,
            folder=bundle.folder,
            server=bundle.server,
            max_players=options.max_players,
            made_from=self._room.made_from,
            players=tuple(Participant(seat=player.seat, id=player.user_id, name=player.name) for player in players),
        )
        self._end = None
        server = await self._gameservers.start(order, self._ended)
        self._play = ServerPlay(self._room, server, players)

    def begun(self) -> None:
        assert self._play is not None
        self._on = True
        self._owed = set()
        self._players = self._play.players
        for user_id in self._players:
            for connection in self._room.connections(user_id):
                self._play.join(user_id, connection)
        if self._end is not None:
            self._over(self._end)

    def _ended(self, end: ServerEnd) -> None:
        """The GameServer has ended the play, or is gone."""
        self._end = end
        if self._on:
            self._over(end)

    def _over(self, end: ServerEnd) -> None:
        results = end.results
        try:
            size_of("results", results)
        except InvalidRequest as error:
            self._log(self._room.options.game_id, f"room {self._room.room_id}: the results of the play are not passed on: {error.message}")
            results = None
        self._room.over(end.reason, results)

    def end(self) -> None:
        starting, self._starting = self._starting, None
        if starting is not None:
            # Without effect on one that has got ready.
            starting.cancel()
        self._owed |= {user_id for user_id in self._players if not self._hears(user_id)}
        play, self._play, self._on, self._players = self._play, None, False, ()
        if play is not None:
            play.end()

    def _hears(self, user_id: str) -> bool:
        """Whether the member's page or game hears room messages; a pipe carries none."""
        piped = self.at_server
        return any(each.exclusive and not (piped and IPipeConnection.providedBy(each)) for each in self._room.connections(user_id))

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        # No GameServer outlives the daemon.
        self._players = [player.user_id for player in players]
        return fail(BadState("the GameServer of this play ended with the daemon"))

    def recall(self) -> Deferred[None]:
        return succeed(None)

    # Who is there.

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        where = self.played_at
        return {} if where is None else {"game_host": where[0], "game_port": where[1]}

    def check_hello(self, hello: Hello) -> None: ...

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None:
        if self._play is not None:
            self._play.join(user_id, connection)

    def returned(self, user_id: str, connection: Any) -> None:
        over = self._room.last_over
        if over is not None and user_id in self._owed and connection.exclusive:
            self._owed.discard(user_id)
            connection.deliver(over)

    def connected(self, user_id: str) -> None: ...

    def parted(self, user_id: str, connection: Any) -> None:
        if self._play is not None:
            self._play.part(user_id, connection)

    def disconnected(self, user_id: str) -> None: ...

    def left(self, user_id: str, seat: int, reason: str) -> None:
        if self._play is None:
            return
        self._play.left(user_id)
        if not self._play.players:
            self._room.over(ABANDONED)

    def tick(self, now: float) -> None: ...

    def rests_until(self, now: float) -> float:
        return inf

    # What members say.

    def chat(self, outgoing: Outgoing) -> bool:
        return False

    def is_command(self, message_type: str) -> bool:
        return False

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> None:
        raise InvalidRequest(
            f"there is no message of type {message['type']!r} in a server room; what is for the game's server goes by binary frames or the game port"
        )

    def lane(self, user_id: str) -> None:
        return None

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        play = self._play
        if play is None or not self._on:
            raise BadState("nothing is played in this room at the moment; what is for the game's server goes there while it plays")
        if (where := self.played_at) is not None:
            raise BadState(f"this game's clients connect to its server themselves, at {where[0]}:{where[1]}")
        play.send(user_id, data, connection)
