"""The referee of a controller room: a turn game that the server plays with controllers (docs/protocol/controller.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from gameroom.errors import BadState, GameroomError, InvalidRequest
from gameroom.interfaces import IDatabase, IReferee, ITurnRoom
from gameroom.referees.controller_play import TurnPlay, tell_end
from gameroom.rules.turn_clock import TurnClock
from gameroom.rules.turn_games import BUTTONS, ITurnGame
from gameroom.rules.turn_games.bots import BOTS, bot_of
from gameroom.rules.turn_games.games import GAMES
from gameroom.rules.turn_table import Seated, TurnTable
from gameroom.store import turn_games
from gameroom.wire.room_messages import text_field

if TYPE_CHECKING:
    from gameroom.rules.room import Player
    from gameroom.thinking import Thinking
    from gameroom.wire.room_messages import Hello, Outgoing

Answer = dict[str, Any] | None


@implementer(IReferee)
class ControllerReferee:
    """Referees a room of a turn game."""

    waits_for_ready = False
    keeps_seats = False
    packets_are_messages = True
    transactional = True
    acts_once = False
    begins_once = False
    at_server = False
    played_at = None

    _log = Logger()

    def __init__(self, room: ITurnRoom, *, database: IDatabase, thinking: Thinking | None = None) -> None:
        """`thinking` is what computer players think with; without it there are none."""
        self._room = room
        self._thinking = thinking
        self._database = database
        self._play: TurnPlay | None = None
        self._last: TurnTable | None = None

    # A play begins and ends.

    def check_start(self) -> None:
        self._kind()

    def _kind(self) -> type[ITurnGame]:
        name = self._room.options.turn_game
        if name not in GAMES:
            raise BadState(f"this server does not know the turn game {name}; its room can be chatted in, but not played")
        return GAMES[name]

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._begin(play_id, players))

    async def _begin(self, play_id: str, players: Sequence[Player]) -> None:
        kind, room = self._kind(), self._room
        if not kind.fewest <= len(players) <= kind.most:
            raise BadState(f"this game is for {kind.fewest} to {kind.most} players; {len(players)} are here")
        before = await self._database.interact(turn_games.load, room.room_id)
        seats = tuple(
            Seated(player=player.seat + 1, user_id=player.user_id, name=player.name, bot=room.member(player.user_id).bot) for player in players
        )
        table = TurnTable.lay(kind, play_id, seats, None if before is None else before["first"])
        table = attrs.evolve(table, clock=TurnClock.of(room.options, [seated.player for seated in seats]))
        await room.keep((turn_games.save, (room.room_id, table.to_json())), lambda: None)
        self._play, self._last = TurnPlay(room, table, self._thinking_of_this()), None

    def _thinking_of_this(self) -> Thinking | None:
        return self._thinking if self._room.options.turn_game in BOTS else None

    def begun(self) -> None:
        assert self._play is not None
        self._play.tell_start()

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._restore(play_id, players))

    async def _restore(self, play_id: str, players: Sequence[Player]) -> None:
        kept = await self._database.interact(turn_games.load, self._room.room_id)
        if kept is None or kept["play_id"] != play_id:
            raise BadState("nothing is kept of this play")
        table = TurnTable.from_json(self._kind(), self._room.options, kept)
        self._play = TurnPlay(self._room, table, self._thinking_of_this())
        self._play.missing(players)

    def recall(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._recall())

    async def _recall(self) -> None:
        kept = await self._database.interact(turn_games.load, self._room.room_id)
        try:
            if kept is not None:
                self._last = TurnTable.from_json(self._kind(), self._room.options, kept)
                tell_end(self._room, self._last)
        except GameroomError as error:
            self._log.error("what room {room_id} played last is not known any more: {error}", room_id=self._room.room_id, error=error)

    def end(self) -> None:
        if self._play is not None:
            self._play.end()
            self._last = self._play.table
        self._play = None

    # Who is there.

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        game = None if self._play is None else self._play.welcome(user_id)
        return {"game": game, "last_game": None if self._last is None else self._last.ended(user_id)}

    def check_hello(self, hello: Hello) -> None: ...

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None:
        if self._play is not None:
            self._play.tell_present(user_id, connection)

    def returned(self, user_id: str, connection: Any) -> None: ...

    def connected(self, user_id: str) -> None:
        if self._play is not None:
            self._play.came(user_id)

    def parted(self, user_id: str, connection: Any) -> None: ...

    def disconnected(self, user_id: str) -> None:
        if self._play is not None:
            self._play.went(user_id)

    def left(self, user_id: str, seat: int, reason: str) -> None:
        if self._play is not None:
            self._play.gone(user_id)

    def tick(self, now: float) -> None:
        self._room.send_again()
        if self._play is not None:
            self._play.tick(now)

    def rests_until(self, now: float) -> float:
        return inf if self._play is None else self._play.rests_until(now)

    # What members say.

    def chat(self, outgoing: Outgoing) -> bool:
        return False

    def is_command(self, message_type: str) -> bool:
        return False

    def lane(self, user_id: str) -> None:
        return None

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        raise InvalidRequest("there are no binary frames in a controller room")

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> Answer | Deferred[Any]:
        if message["type"] == "add_bot":
            return self._add_bot(user_id, message.get("level", 1))
        if message["type"] != "game":
            raise InvalidRequest(f"there is no message of type {message['type']!r} in a controller room")
        body = message.get("body")
        if not isinstance(body, dict):
            raise InvalidRequest('game needs a body: {"do": "join"}, ready, left, right, drop or leave', pointer="/body")
        do = text_field(body, "do", 64)
        deed = self._DEEDS.get(do)
        if deed is not None:
            return deed(self, user_id)
        if do not in BUTTONS:
            raise InvalidRequest("do must be join, ready, left, right, drop or leave", pointer="/body/do")
        if self._play is None:
            raise BadState("no game is on; it begins when all players are ready")
        return self._play.press(user_id, do, message.get("id"))

    def _join(self, user_id: str) -> Deferred[Answer]:
        """A player number, and ready by that; or that the game is full."""
        room = self._room
        if room.member(user_id).viewer:
            if self._play is not None or len(room.seated) >= room.options.max_players:
                return succeed(_answer({"full": True}))
            return room.take_seat(user_id).addCallback(lambda _: self._join(user_id))
        seat = room.member(user_id).seat
        assert seat is not None
        joined = _answer({"player": seat + 1})
        if self._play is not None:
            return succeed(joined)
        return room.set_ready(user_id, True).addCallback(lambda _: joined)

    def _add_bot(self, user_id: str, level: Any) -> Deferred[None]:
        if self._thinking is None:
            raise BadState("this server has no computer players")
        bot_of(self._room.options.turn_game, level)
        return self._room.add_bot(user_id, level)

    def _ready(self, user_id: str) -> Deferred[None]:
        return self._room.set_ready(user_id, True)

    def _leave(self, user_id: str) -> Deferred[None]:
        return self._room.give_up_seat(user_id)

    _DEEDS: ClassVar[dict[str, Callable[..., Deferred[Any]]]] = {"join": _join, "ready": _ready, "leave": _leave}


def _answer(body: dict[str, Any]) -> dict[str, Any]:
    return {"type": "game", "body": body}
