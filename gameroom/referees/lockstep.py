"""The referee of a lock-step room: between the room's members and the rules (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from gameroom.errors import BadState, InvalidRequest
from gameroom.interfaces import IReferee, IRoom
from gameroom.referees.lockstep_lane import SeatLane
from gameroom.referees.lockstep_messages import player, take_message, take_setup
from gameroom.referees.lockstep_plays import Plays, Reserved
from gameroom.referees.lockstep_stage import Stage
from gameroom.referees.lockstep_states import SetupStates, event_of
from gameroom.rules.command_schema import CommandSchema
from gameroom.settings import LockstepSettings
from gameroom.wire.lockstep import BINARY, JSON, CommandPacket

if TYPE_CHECKING:
    from gameroom.rules.room import Player
    from gameroom.store.recordings import Recordings
    from gameroom.wire.room_messages import Hello, Outgoing


@implementer(IReferee)
class LockstepReferee:
    """Referees a lock-step room.

    `room_ttl` is for how many seconds a play without any of its players is kept; `metrics` may be None.
    Without a `clock` patience is looked at by `tick` alone.
    """

    waits_for_ready = True
    keeps_seats = True
    packets_are_messages = False
    transactional = False
    acts_once = False
    begins_once = False
    at_server = False
    played_at = None

    def __init__(
        self,
        room: IRoom,
        *,
        recordings: Recordings,
        settings: LockstepSettings,
        metrics: Any = None,
        room_ttl: float = 120.0,
        clock: IReactorTime | None = None,
    ) -> None:
        self._room = room
        self._now = room.now
        self._binary = room.options.encoding == "binary"
        schema = room.options.command_schema
        self._parse = JSON.parse if schema is None else CommandSchema(schema).parse
        self._plays = Plays(room, recordings=recordings, settings=settings, metrics=metrics, room_ttl=room_ttl, clock=clock)
        self._setup = None if self._plays.description is None else SetupStates(room, self._plays.description)
        self._reserved: Reserved | None = None
        self._stage: Stage | None = None

    # A play begins and ends.

    def check_start(self) -> None: ...

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        # One that was reserved and came to nothing.
        self.end()
        return execute(self._plays.reserve, play_id, players).addCallback(self._reserve)

    def _reserve(self, reserved: Reserved) -> None:
        self._reserved = reserved

    def begun(self) -> None:
        assert self._reserved is not None
        reserved, self._reserved = self._reserved, None
        self._stage = self._plays.begin(reserved)

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._restore(play_id, {player.user_id: player.seat for player in players}))

    async def _restore(self, play_id: str, seats: dict[str, int]) -> None:
        self._stage = await self._plays.restore(play_id, seats)

    def recall(self) -> Deferred[None]:
        return succeed(None)

    def end(self) -> None:
        if self._reserved is not None:
            self._plays.discard(self._reserved)
        if self._stage is not None:
            self._plays.end(self._stage)
            if self._setup is not None:
                self._setup.leave()
        self._reserved = self._stage = None

    # Who is there.

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        stage = self._stage
        put_out = stage is not None and stage.on and user_id in stage.seats and stage.seat_of(user_id) is None
        return {"evicted": True} if put_out else {}

    def check_hello(self, hello: Hello) -> None:
        if self._stage is not None and self._stage.on:
            self._stage.audience.first_missed(hello)

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None:
        if self._stage is not None and self._stage.on:
            self._stage.welcomed(user_id, connection, hello)

    def returned(self, user_id: str, connection: Any) -> None: ...

    def connected(self, user_id: str) -> None:
        if self._stage is not None:
            self._stage.connected(user_id)

    def parted(self, user_id: str, connection: Any) -> None: ...

    def disconnected(self, user_id: str) -> None:
        if self._stage is not None:
            self._stage.disconnected(user_id)

    def left(self, user_id: str, seat: int, reason: str) -> None:
        if self._stage is not None:
            self._stage.left(user_id, seat)

    def tick(self, now: float) -> None:
        stage = self._stage
        if stage is None or not stage.on:
            if stage is None and self._setup is not None:
                self._setup.tick(now)
            return
        stage.tick(now)
        if stage.states is not None and stage.on:
            stage.states.tick(now)

    def rests_until(self, now: float) -> float:
        if self._stage is not None:
            return self._stage.rests_until(now)
        return inf if self._setup is None else self._setup.rests_until(now)

    # What members say.

    def chat(self, outgoing: Outgoing) -> bool:
        return self._stage is not None and self._stage.on and self._stage.audience.chat(outgoing)

    def is_command(self, message_type: str) -> bool:
        return message_type == "commands"

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> dict[str, Any] | None | Deferred[Any]:
        kind = message["type"]
        if kind == "commands":
            if self._binary:
                raise InvalidRequest("the packets of this room are binary frames")
            self._take(user_id, self._parse(message))
            return None
        if kind == "setup":
            return take_setup(self._room, self._stage is not None, user_id, message)
        if kind == "transition":
            return self._transition(user_id, event_of(message))
        take_message(self._room, self._stage, user_id, message)
        return None

    def _transition(self, user_id: str, event: str) -> Deferred[None] | None:
        if self._setup is None:
            raise BadState("the engine of this room describes no states, so there are no events")
        if self._stage is None:
            return self._setup.ask(user_id, event)
        stage, seat = player(self._stage, user_id)
        if stage.states is not None:
            stage.states.ask(user_id, seat, event)
        return None

    def lane(self, user_id: str) -> SeatLane | None:
        return None if self._stage is None else self._stage.lane(user_id, self._parse)

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        if not self._binary:
            raise InvalidRequest("the packets of this room are JSON, in text frames")
        self._take(user_id, BINARY.parse(data))

    def _take(self, user_id: str, packet: CommandPacket) -> None:
        stage = self._stage
        if stage is None or not stage.on or (seat := stage.seats.get(user_id)) is None:
            stage, seat = player(stage, user_id)
        now = self._now
        if effects := stage.play.receive(seat, packet, now()):
            stage.do(effects)
        if fault := packet[-1]:
            raise InvalidRequest(fault)
