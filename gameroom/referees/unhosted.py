"""The referee of rooms whose games this server cannot run yet: their members meet, and are told so when they want to start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gameroom.errors import BadState
from gameroom.interfaces import IReferee, IRoom

if TYPE_CHECKING:
    from gameroom.rules.room import Player
    from gameroom.wire.room_messages import Hello, Outgoing

UNHOSTED = ("service",)
"""The hosting kinds that a bundle may name and that nothing here can run yet."""


@implementer(IReferee)
class UnhostedReferee:
    """Refuses every start with 105.

    `log(game_id, text)` tells the game's developer, once for each room.
    """

    waits_for_ready = False
    keeps_seats = False
    packets_are_messages = True
    transactional = False
    begins_once = False
    at_server = False
    played_at = None

    def __init__(self, room: IRoom, *, log: Callable[[str, str], None] = lambda game_id, text: None) -> None:
        self._room = room
        self._log = log
        self._told = False

    def check_start(self) -> None:
        options = self._room.options
        if not self._told:
            self._told = True
            self._log(options.game_id, f"room {self._room.room_id} (version {options.version}) could not start: {self._why()}")
        raise BadState(self._why())

    def _why(self) -> str:
        return f"this server cannot run games of kind {self._room.options.hosting} yet; the room can be chatted in, but not played"

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return fail(BadState(self._why()))

    def begun(self) -> None: ...

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return self.begin(play_id, players)

    def recall(self) -> Deferred[None]:
        return succeed(None)

    def end(self) -> None: ...

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        return {}

    def check_hello(self, hello: Hello) -> None: ...

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None: ...

    def returned(self, user_id: str, connection: Any) -> None: ...

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> None:
        raise BadState(self._why())

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        raise BadState(self._why())

    def chat(self, outgoing: Outgoing) -> bool:
        return False

    def is_command(self, message_type: str) -> bool:
        return False

    def connected(self, user_id: str) -> None: ...

    def parted(self, user_id: str, connection: Any) -> None: ...

    def disconnected(self, user_id: str) -> None: ...

    def left(self, user_id: str, seat: int, reason: str) -> None: ...

    def tick(self, now: float) -> None: ...
