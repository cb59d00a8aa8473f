"""The short way of a player's packets into a play that is on, past everything that is the same for each of them.

`RoomConversation`, `LockstepReferee` and `Stage` find out for each message who says it, in which room, whether anything is played, and in which
seat. A door that takes many packets asks for a lane instead, once, and gives them to it for as long as it is open.
What comes of a packet is the same on both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

from gameroom.build import IS_COMPILED
from gameroom.errors import InvalidRequest
from gameroom.referees.lockstep_agenda import Agenda
from gameroom.rules.lockstep import Play
from gameroom.rules.lockstep_values import Effects
from gameroom.rules.master import Master
from gameroom.wire.lockstep import BINARY, COMMAND, COMMAND_HEAD, COMMAND_HEAD_BYTES, PACKET_BYTES, CommandPacket

COMPILED: Final = IS_COMPILED
if COMPILED:
    from gameroom.wire import native

if TYPE_CHECKING:
    from gameroom.referees.lockstep_stage import Stage

COMMANDS: Final = "commands"


class SeatLane:
    """One player's. `parse` reads a `commands` message, in a JSON room; None in a binary one."""

    __slots__ = ("_agenda", "_masters", "_parse", "_play", "_seat", "now")

    def __init__(
        self, stage: Stage, play: Play, seat: int, now: Callable[[], float], parse: Callable[[dict[str, Any]], CommandPacket] | None
    ) -> None:
        self._play: Play | None = play
        self._seat = seat
        self._parse = parse
        self._agenda: Agenda | None = stage.agenda
        self._masters: list[Master] = []
        """Made by packets that came together, and not told yet."""
        self.now = now
        """Gives the time, in seconds."""

    @property
    def open(self) -> bool:
        """Whether packets may go this way."""
        return self._play is not None

    def close(self) -> None:
        """The play is over, or the player has left it. Whoever has the lane keeps nothing of the play by it."""
        self._play = self._agenda = None

    def take(self, data: bytes, is_binary: bool, now: float) -> bool:
        """A whole message, that may be a command packet. False where it is none for this lane, and nothing was done.

        The masters that it completes wait for `end`. Raises what `Play.receive` and the codecs raise.
        """
        play, parse = self._play, self._parse
        if play is None or is_binary is not (parse is None):
            return False
        if parse is None:
            self._take_binary(play, data, now)
            return True
        try:
            message = orjson.loads(data)
        except orjson.JSONDecodeError:
            return False
        if type(message) is not dict or message.get("type") != COMMANDS or "id" in message:
            return False
        packet = parse(message)
        self._follow(play.receive(self._seat, packet, now))
        if packet.fault:
            raise InvalidRequest(packet.fault)
        return True

    def end(self) -> None:
        """What came together was taken: its masters are recorded, and given to everyone."""
        if self._masters:
            masters, self._masters = self._masters, []
            if self._agenda is not None:
                self._agenda.tell(masters)

    def _take_binary(self, play: Play, data: bytes, now: float) -> None:
        size = len(data) - COMMAND_HEAD_BYTES
        if size < 0 or size > PACKET_BYTES - COMMAND_HEAD_BYTES or data[0] != COMMAND or data[1] > 1:
            packet = BINARY.parse(data)
            self._follow(play.receive(self._seat, packet, now))
            if packet.fault:
                raise InvalidRequest(packet.fault)
            return
        if COMPILED:
            generation, latency, framerate, about, checksum = native.command_head(data)
        else:
            _, _, generation, latency, framerate, about, checksum = COMMAND_HEAD.unpack_from(data)
        if not data[1]:
            about, checksum = -1, 0
        self._follow(play.take(self._seat, generation, latency, framerate, about, checksum, data[COMMAND_HEAD_BYTES:], now))

    def _follow(self, effects: Effects) -> None:
        """Masters may wait a little. What is anything else is done at once, behind them."""
        if not effects:
            return
        for place, effect in enumerate(effects):
            if not isinstance(effect, Master):
                masters, self._masters = self._masters, []
                if self._agenda is not None:
                    self._agenda.do([*masters, *effects[place:]])
                return
            self._masters.append(effect)
