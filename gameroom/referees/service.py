"""The referee of a service room: gameroom keeps the state, a stateless program elsewhere computes the next (docs/protocol/game-service.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Final

import orjson
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.errors import BadState, Forbidden, GameroomError, InvalidRequest
from gameroom.interfaces import IDatabase, IReferee, ITurnRoom
from gameroom.referees.service_books import Books
from gameroom.referees.service_lease import RoomService
from gameroom.referees.service_play import FINISHED, LOST, ServicePlay
from gameroom.referees.service_queues import Queues
from gameroom.referees.service_states import KeptStates
from gameroom.referees.service_told import Ticket, error_message, error_of_rejected, results_of
from gameroom.referees.service_turns import Turns
from gameroom.rules.service_game import Held, Kept, Outcome, ServiceGame
from gameroom.store import service_games
from gameroom.wire.game_service import Player as Seated
from gameroom.wire.room_messages import Outgoing, size_of

if TYPE_CHECKING:
    from gameroom.catalogue import Catalogue
    from gameroom.gameservices.services import GameServices
    from gameroom.rules.room import Player
    from gameroom.wire.room_messages import Hello

MESSAGE_BYTES: Final = 64 << 10
"""Of a body as compact JSON, and of a binary frame: as in a relay room."""
SEED_BITS: Final = 53
"""What every language's numbers hold."""


@implementer(IReferee)
class ServiceReferee:
    """Referees a room whose rules are a micro game service's.

    `services` leases services, `random_bytes` seeds plays, and `log(game_id, text)` writes to the log of the game's developer.
    `states`, `turns` and `queues` are shared by all rooms of a daemon, which have so much memory together; without them the room has its own.
    """

    waits_for_ready = False
    keeps_seats = False
    packets_are_messages = True
    transactional = False
    acts_once = True
    begins_once = False
    at_server = False
    played_at = None

    def __init__(
        self,
        room: ITurnRoom,
        *,
        services: GameServices,
        catalogue: Catalogue,
        database: IDatabase,
        random_bytes: Callable[[int], bytes],
        log: Callable[[str, str], None] = lambda game_id, text: None,
        states: KeptStates | None = None,
        turns: Turns | None = None,
        queues: Queues | None = None,
    ) -> None:
        self._room = room
        self._database = database
        self._random_bytes = random_bytes
        self._service = RoomService(room, services=services, catalogue=catalogue, log=log)
        self._states = KeptStates() if states is None else states
        self._turns = Turns() if turns is None else turns
        self._queues = Queues() if queues is None else queues
        self._keeping: Deferred[Any] = succeed(None)
        """Fires when what came of the newest start is stored, or cannot be."""
        self._play: ServicePlay | None = None
        self._on = False
        """Whether the play has begun."""
        self._last: dict[str, Any] | None = None
        """How the last play that has ended did."""

    # A play begins and ends.

    def check_start(self) -> None: ...

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._begin(play_id, players))

    async def _begin(self, play_id: str, players: Sequence[Player]) -> None:
        room = self._room
        try:
            await _behind(self._keeping)
            sequence, _ = await self._database.interact(service_games.last, room.room_id)
            lease = await self._service.lease()
            game = self._game(Kept(play_id=play_id, sequence=sequence))
            seated = [Seated(player.seat, player.user_id, player.name, room.is_connected(player.user_id)) for player in players]
            seed = int.from_bytes(self._random_bytes(7), "big") >> (56 - SEED_BITS)
            game.begin(seated, orjson.dumps(room.configuration), seed, self._now_ms())
            answer = await lease.ask_first(game.ask(Held()))
            await self._keep_first(game.take(answer, self._now_ms()))
        except BaseException:
            self._service.release()
            raise
        self._play = self._play_of(game)

    async def _keep_first(self, outcome: Outcome) -> None:
        """Raises what the service has refused the play with."""
        finished, rejected = outcome.answer.finished, outcome.answer.rejected
        how = None if finished is None else {"play_id": outcome.kept.play_id, "reason": FINISHED, "results": results_of(finished)}
        # A start may be given up meanwhile; the next one waits until this is written, so that it goes on behind it.
        work = service_games.begin, self._room.room_id, outcome.kept, outcome.held or Held(), how
        self._keeping = self._database.interact(*work)
        await _behind(self._keeping)
        if rejected is not None:
            raise error_of_rejected(rejected)

    def _game(self, kept: Kept) -> ServiceGame:
        options = self._room.options
        return ServiceGame(room_id=self._room.room_id, game_id=options.game_id, version=options.version, kept=kept)

    def _play_of(self, game: ServiceGame) -> ServicePlay:
        books = Books(self._room.room_id, game, database=self._database, states=self._states)
        return ServicePlay(self._room, game, service=self._service, books=books, turns=self._turns, queues=self._queues, ended=self._ended)

    def _ended(self, how: dict[str, Any]) -> None:
        self._last = how

    def _now_ms(self) -> int:
        return int(self._room.now() * 1000)

    def begun(self) -> None:
        assert self._play is not None
        self._on = True
        self._play.begun()

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._restore(play_id, players))

    async def _restore(self, play_id: str, players: Sequence[Player]) -> None:
        row = await self._database.interact(service_games.load, self._room.room_id)
        lost = row is None or row.kept.play_id != play_id
        kept = Kept(play_id=play_id, sequence=0) if row is None or lost else row.kept
        play = self._play = self._play_of(self._game(kept))
        self._on = True
        if row is None or lost:
            play.stop(LOST)
        elif row.ended is not None and row.ended["play_id"] == play_id:
            # Killed between its first update, which was its last, and its end.
            play.stop(row.ended["reason"], row.ended["results"])
        else:
            self._last = row.ended
            play.restored({player.user_id for player in players}, row.held)

    def recall(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._recall())

    async def _recall(self) -> None:
        _, self._last = await self._database.interact(service_games.last, self._room.room_id)

    def end(self) -> None:
        play, self._play, self._on = self._play, None, False
        if play is not None:
            play.end()
        self._service.release()

    # Who is there.

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        return {"last_play": self._last}

    def check_hello(self, hello: Hello) -> None: ...

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None:
        if self._play is not None:
            self._play.welcome(user_id, connection)

    def returned(self, user_id: str, connection: Any) -> None: ...

    def connected(self, user_id: str) -> None:
        if self._play is not None:
            self._play.came(user_id)

    def parted(self, user_id: str, connection: Any) -> None:
        if self._play is not None:
            self._play.audience.part(connection)

    def disconnected(self, user_id: str) -> None:
        if self._play is not None:
            self._play.went(user_id)

    def left(self, user_id: str, seat: int, reason: str) -> None:
        if self._play is not None:
            self._play.left(user_id, reason)

    def tick(self, now: float) -> None:
        if self._play is not None and self._on:
            self._play.tick(now)

    def rests_until(self, now: float) -> float:
        return self._play.rests_until(now) if self._play is not None and self._on else inf

    # What members say.

    def chat(self, outgoing: Outgoing) -> bool:
        return False

    def is_command(self, message_type: str) -> bool:
        return False

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> Deferred[None]:
        if message["type"] != "game":
            raise InvalidRequest(f"there is no message of type {message['type']!r} in a service room; what is for the game goes into game")
        if "body" not in message:
            raise InvalidRequest("game needs a body, which may be any JSON value", pointer="/body")
        if size_of("body", message["body"]) > MESSAGE_BYTES:
            raise InvalidRequest(f"body must not be over {MESSAGE_BYTES >> 10} KiB", pointer="/body")
        return self._playing(user_id).say(Ticket(user_id, message.get("id")), orjson.dumps(message["body"]), True)

    def lane(self, user_id: str) -> None:
        return None

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        if len(data) > MESSAGE_BYTES:
            raise InvalidRequest(f"a binary frame must not be over {MESSAGE_BYTES >> 10} KiB")
        self._playing(user_id).say(Ticket(user_id, None), data, False).addErrback(self._refuse, user_id)

    def _playing(self, user_id: str) -> ServicePlay:
        if self._room.member(user_id).viewer:
            raise Forbidden("only those who play may send; you are watching")
        if self._play is None or not self._on:
            raise BadState("nothing is played in this room at the moment; what is for the game goes there while it plays")
        return self._play

    def _refuse(self, failure: Failure, user_id: str) -> None:
        assert isinstance(failure.value, GameroomError)
        self._room.tell(user_id, Outgoing.json(error_message(failure.value)))


def _behind(first: Deferred[Any]) -> Deferred[None]:
    """Fires, or fails, with another Deferred, which goes on when this one is cancelled."""
    told: Deferred[None] = Deferred()

    def fired(result: Any) -> None:
        if not told.called:
            told.callback(result)

    first.addBoth(fired)
    return told
