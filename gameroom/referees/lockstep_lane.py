"""The short way of a player's packets into a play that is on, past everything that is the same for each of them.

`RoomConversation`, `LockstepReferee` and `Stage` find out for each message who says it, in which room, whether anything is played, and in which
seat. A door that takes many packets asks for a lane instead, once, and gives them to it for as long as it is open.
What comes of a packet is the same on both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

from gameroom.errors import InvalidRequest
from gameroom.rules.lockstep import Play
from gameroom.wire.lockstep import BINARY, CommandPacket

if TYPE_CHECKING:
    from gameroom.referees.lockstep_stage import Stage

COMMANDS: Final = "commands"


class SeatLane:
    """One player's. `parse` reads a `commands` message, in a JSON room; None in a binary one."""

    __slots__ = ("_batch", "_do", "_parse", "_play", "_seat", "now")

    def __init__(
        self, stage: Stage, play: Play, seat: int, now: Callable[[], float], parse: Callable[[dict[str, Any]], CommandPacket] | None
    ) -> None:
        self._play: Play | None = play
        self._seat = seat
        self._parse = parse
        self._do: Callable[[Any], None] = stage.do
        self._batch: Callable[[bool], None] = stage.batch
        self.now = now
        """Gives the time, in seconds."""

    @property
    def open(self) -> bool:
        """Whether packets may go this way."""
        return self._play is not None

    def close(self) -> None:
        """The play is over, or the player has left it."""
        self._play = None

    def take(self, data: bytes, is_binary: bool, now: float) -> bool:
        """A whole message, that may be a command packet. False where it is none for this lane, and nothing was done.

        Raises what `Play.receive` and the codecs raise.
        """
        play, parse = self._play, self._parse
        if play is None or is_binary is not (parse is None):
            return False
        if parse is None:
            packet = BINARY.parse(data)
        else:
            try:
                message = orjson.loads(data)
            except orjson.JSONDecodeError:
                return False
            if type(message) is not dict or message.get("type") != COMMANDS or "id" in message:
                return False
            packet = parse(message)
        effects = play.receive(self._seat, packet, now)
        if effects:
            self._do(effects)
        if packet.fault:
            raise InvalidRequest(packet.fault)
        return True

    def begin(self) -> None:
        """Packets that came together are taken now: the masters that they complete are kept until `end`."""
        self._batch(True)

    def end(self) -> None:
        """They were: their masters are recorded together, and given to everyone together."""
        self._batch(False)
