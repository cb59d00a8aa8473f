"""The referee of a service room: gameroom keeps the state, a stateless program elsewhere computes the next (docs/protocol/game-service.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gameroom.errors import BadState, InvalidRequest
from gameroom.interfaces import IDatabase, IReferee, IRoom

if TYPE_CHECKING:
    from gameroom.catalogue import Catalogue
    from gameroom.rules.room import Player
    from gameroom.wire.room_messages import Hello, Outgoing


@implementer(IReferee)
class ServiceReferee:
    """Referees a room whose rules are a micro game service's.

    `services` leases services, `random_bytes` seeds plays, and `log(game_id, text)` writes to the log of the game's developer.
    """

    waits_for_ready = False
    keeps_seats = False
    packets_are_messages = True
    transactional = False
    begins_once = False
    at_server = False
    played_at = None

    def __init__(
        self,
        room: IRoom,
        *,
        services: Any,
        catalogue: Catalogue,
        database: IDatabase,
        random_bytes: Callable[[int], bytes],
        log: Callable[[str, str], None] = lambda game_id, text: None,
    ) -> None:
        self._room = room
        self._services = services
        self._catalogue = catalogue
        self._database = database
        self._random_bytes = random_bytes
        self._log = log

    def check_start(self) -> None: ...

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return fail(BadState("games of this kind cannot be played here"))

    def begun(self) -> None: ...

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return fail(BadState("nothing is kept of this play"))

    def recall(self) -> Deferred[None]:
        return succeed(None)

    def end(self) -> None: ...

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        return {"last_play": None}

    def check_hello(self, hello: Hello) -> None: ...

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None: ...

    def returned(self, user_id: str, connection: Any) -> None: ...

    def connected(self, user_id: str) -> None: ...

    def parted(self, user_id: str, connection: Any) -> None: ...

    def disconnected(self, user_id: str) -> None: ...

    def left(self, user_id: str, seat: int, reason: str) -> None: ...

    def tick(self, now: float) -> None: ...

    def chat(self, outgoing: Outgoing) -> bool:
        return False

    def is_command(self, message_type: str) -> bool:
        return False

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> dict[str, Any] | None | Deferred[Any]:
        raise InvalidRequest(f"there is no message of type {message['type']!r} in a service room; what is for the game goes into game")

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        raise BadState("nothing is played in this room at the moment")
