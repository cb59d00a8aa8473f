"""The referee of a relay room: what one member sends the others get (docs/protocol/rooms.md, "Relay rooms").

Nothing is kept and nothing is checked but sizes, also while the room is set up: what it all means is between the clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.interfaces import IReferee, IRoom
from gameroom.wire.room_messages import Outgoing, size_of

if TYPE_CHECKING:
    from gameroom.rules.room import Player
    from gameroom.wire.room_messages import Hello

BODY_BYTES: Final = 64 << 10
"""Of a body as compact JSON, and of a binary frame."""
RESULTS_BYTES: Final = 16 << 10
MOST_NAMED: Final = 256
"""Members that one message may name."""
FINISHED, ABANDONED = "finished", "abandoned"
"""Reasons for which a play is over."""

_SEAT: Final = Struct("!H")


@implementer(IReferee)
class RelayReferee:
    """Passes messages on. A play ends when the host says `finish`, or when the last of its players is gone."""

    waits_for_ready = False
    keeps_seats = False
    packets_are_messages = True
    transactional = False
    acts_once = False
    begins_once = False
    at_server = False
    played_at = None

    def __init__(self, room: IRoom) -> None:
        self._room = room
        self._start: Outgoing | None = None
        """What players are told of the play; None while there is none."""
        self._seats: dict[str, int] = {}
        """Who plays, by user_id, without those who are gone."""

    # A play begins and ends.

    def check_start(self) -> None: ...

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        self._seats = {player.user_id: player.seat for player in players}
        about = [{"seat": player.seat, "user_id": player.user_id, "name": player.name} for player in players]
        room = self._room
        self._start = Outgoing.json(
            {"type": "start", "play_id": play_id, "seed": room.options.seed, "configuration": room.configuration, "players": about}
        )
        return succeed(None)

    def begun(self) -> None:
        assert self._start is not None
        self._room.broadcast(self._start)

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        # Killed between the last one's leaving and the play's end.
        return self.begin(play_id, players) if players else fail(BadState("nobody plays here any more"))

    def recall(self) -> Deferred[None]:
        return succeed(None)

    def end(self) -> None:
        self._start = None
        self._seats = {}

    # Who is there.

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        return {}

    def check_hello(self, hello: Hello) -> None: ...

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None:
        if self._start is not None:
            connection.deliver(self._start)

    def returned(self, user_id: str, connection: Any) -> None: ...

    def connected(self, user_id: str) -> None: ...

    def parted(self, user_id: str, connection: Any) -> None: ...

    def disconnected(self, user_id: str) -> None: ...

    def left(self, user_id: str, seat: int, reason: str) -> None:
        self._seats.pop(user_id, None)
        if not self._seats:
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
        deed = _MESSAGES.get(message["type"])
        if deed is None:
            raise InvalidRequest(f"there is no message of type {message['type']!r} in a relay room; what is yours goes into game")
        deed(self, user_id, message)

    def _game(self, user_id: str, message: dict[str, Any]) -> None:
        if "body" not in message:
            raise InvalidRequest("game needs a body, which may be any JSON value", pointer="/body")
        _check_size("body", message["body"], BODY_BYTES)
        named = _named(message)
        outgoing = Outgoing.json({"type": "game", "body": message["body"], "from": user_id})
        if named is None:
            for connection in self._others(user_id):
                connection.deliver(outgoing)
        else:
            for member in named:
                self._room.tell(member, outgoing)

    def lane(self, user_id: str) -> None:
        return None

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        seat = self._room.member(user_id).seat
        if seat is None:
            raise BadState("binary frames go out under the sender's seat, and you have none: sit first, or say game")
        if len(data) > BODY_BYTES:
            raise InvalidRequest("a binary frame must not be over 64 KiB")
        outgoing = Outgoing(_SEAT.pack(seat) + data, binary=True)
        for other in self._others(user_id):
            if other.binary:
                other.deliver(outgoing)

    def _finish(self, user_id: str, message: dict[str, Any]) -> None:
        if self._start is None:
            raise BadState("nothing is played in this room at the moment")
        if user_id != self._room.host:
            raise Forbidden("only the host may finish the play")
        results = message.get("results")
        if results is not None:
            if not isinstance(results, dict):
                raise InvalidRequest("results must be an object", pointer="/results")
            _check_size("results", results, RESULTS_BYTES)
        self._room.over(FINISHED, results)

    def _others(self, user_id: str) -> Iterator[Any]:
        own = self._room.connections(user_id)
        return (connection for connection in self._room.everyone() if connection not in own)


def _named(message: dict[str, Any]) -> list[str] | None:
    """Whom a message is for, each once; None for everyone else. Who of them is not here (any more) is passed over."""
    to = message.get("to")
    if to is None:
        return None
    if not isinstance(to, list) or len(to) > MOST_NAMED or not all(isinstance(user_id, str) for user_id in to):
        raise InvalidRequest(f"to must be a list of up to {MOST_NAMED} user_ids", pointer="/to")
    return list(dict.fromkeys(to))


def _check_size(name: str, value: Any, most: int) -> None:
    if size_of(name, value) > most:
        raise InvalidRequest(f"{name} must not be over {most >> 10} KiB", pointer=f"/{name}")


_MESSAGES: dict[str, Callable[[RelayReferee, str, dict[str, Any]], None]] = {"game": RelayReferee._game, "finish": RelayReferee._finish}
