"""The referee of a lock-step room: between the room's members and the rules (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from gameroom import __version__
from gameroom.errors import BadState, Forbidden, InvalidRequest, NotFound
from gameroom.interfaces import IReferee, IRoom
from gameroom.referees.lockstep_stage import Stage
from gameroom.rules.lockstep import ABANDONED, DIVERGED
from gameroom.rules.lockstep_values import Past, Terms
from gameroom.settings import LockstepSettings
from gameroom.wire.lockstep import BINARY, JSON, CommandPacket
from gameroom.wire.room_messages import size_of

if TYPE_CHECKING:
    from gameroom.rules.room import Player
    from gameroom.store.recording import Recording
    from gameroom.store.recordings import Recordings

PATCH_BYTES: Final = 64 << 10
RESULTS_BYTES: Final = 16 << 10
PLAY_DIVERGED: Final = "diverged"
"""Why a play is over that its host ended after a divergence."""
LOOK_EVERY: Final = 5.0
"""Seconds between looks for connections that are gone."""


@implementer(IReferee)
class LockstepReferee:
    """Referees a lock-step room.

    `room_ttl` is for how many seconds a play without any of its players is kept; `metrics` may be None.
    """

    waits_for_ready = True
    keeps_seats = True
    _log = Logger()

    def __init__(self, room: IRoom, *, recordings: Recordings, settings: LockstepSettings, metrics: Any = None, room_ttl: float = 120.0) -> None:
        self._room = room
        self._recordings = recordings
        self._metrics = metrics
        options = room.options
        self._sync = (options.journal or settings.journal) == "sync"
        self._terms = Terms(
            input_delay=options.input_delay,
            checksum_interval=options.checksum_interval,
            lag_after=settings.lag_after,
            drop_after=settings.drop_after,
            room_ttl=room_ttl,
        )
        self._reserved: tuple[str, dict[str, Any], dict[str, int], Recording] | None = None
        self._stage: Stage | None = None
        self._looked = 0.0

    # A play begins and ends.

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        # One that was reserved and came to nothing.
        self.end()
        options = self._room.options
        about = {
            "seed": options.seed,
            "configuration": self._room.configuration,
            "players": [{"seat": player.seat, "user_id": player.user_id, "name": player.name} for player in players],
            "input_delay": options.input_delay,
            "checksum_interval": options.checksum_interval,
        }
        versions = {"gameroom": __version__, **({"game": options.version} if options.version else {})}
        try:
            recording = self._recordings.create(
                play_id, {"engine": options.engine, **about, "versions": versions}, binary=options.encoding == "binary", sync=self._sync
            )
        except OSError:
            self._log.failure("the recording of play {play_id} cannot be made", play_id=play_id)
            return fail(BadState("plays cannot be recorded at the moment, so none can begin; try again later"))
        self._reserved = play_id, about, {player.user_id: player.seat for player in players}, recording
        return succeed(None)

    def begun(self) -> None:
        assert self._reserved is not None
        (play_id, about, seats, recording), self._reserved = self._reserved, None
        self._stage = self._make_stage(play_id, about, seats, recording, None)
        self._stage.begin()
        for user_id in list(seats):
            if not self._is_member(user_id):
                self.left(user_id, seats[user_id], "left")

    def _is_member(self, user_id: str) -> bool:
        try:
            self._room.member(user_id)
        except NotFound:
            return False
        return True

    def _make_stage(self, play_id: str, about: dict[str, Any], seats: dict[str, int], recording: Recording, past: Past | None) -> Stage:
        return Stage(
            room=self._room, play_id=play_id, about=about, seats=seats, recording=recording, terms=self._terms, past=past, metrics=self._metrics
        )

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        return Deferred.fromCoroutine(self._restore(play_id, {player.user_id: player.seat for player in players}))

    async def _restore(self, play_id: str, seats: dict[str, int]) -> None:
        recording, found = await self._recordings.take_up(play_id, sync=self._sync)
        if found.over is not None:
            self._recordings.close(recording)
            self._room.over(found.over["reason"], found.over.get("results"))
            return
        about = {key: found.header[key] for key in ("seed", "configuration", "players", "input_delay", "checksum_interval")}
        last = found.last
        past = Past(generation=found.masters, events=found.events)
        if last is not None:
            past = Past(generation=found.masters, iterations=last.iterations_per_command, checksum=last.checksum, events=found.events)
        self._stage = stage = self._make_stage(play_id, about, seats, recording, past)
        stage.show_state(stage.play.state, stage.play.awaited())
        for player in about["players"]:
            # Who had left when the daemon was killed may not stand in a master yet.
            if player["user_id"] not in seats:
                stage.do(stage.play.left(player["seat"], self._room.now()))

    def end(self) -> None:
        if self._reserved is not None:
            self._recordings.discard(self._reserved[-1])
        if self._stage is not None:
            if self._stage.on:
                self._stage.note_over(ABANDONED)
            self._recordings.close(self._stage.recording)
        self._reserved = self._stage = None

    # Who is there.

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        return {}

    def check_hello(self, play_id: str | None, last_generation: int | None) -> None:
        if self._stage is not None and self._stage.on:
            self._stage.first_missed(play_id, last_generation)

    def welcomed(self, user_id: str, connection: Any, play_id: str | None, last_generation: int | None) -> None:
        if self._stage is not None and self._stage.on:
            self._stage.bring_up_to_date(connection, play_id, last_generation)

    def connected(self, user_id: str) -> None:
        stage = self._stage
        if stage is not None and stage.on and user_id in stage.seats:
            stage.do(stage.play.connected(stage.seats[user_id], self._room.now()))

    def disconnected(self, user_id: str) -> None:
        stage = self._stage
        if stage is not None and stage.on:
            stage.look_for_gone()
            if user_id in stage.seats:
                stage.do(stage.play.disconnected(stage.seats[user_id], self._room.now()))

    def left(self, user_id: str, seat: int, reason: str) -> None:
        stage = self._stage
        if stage is not None and stage.on and stage.seats.pop(user_id, None) is not None:
            stage.do(stage.play.left(seat, self._room.now()))

    def tick(self, now: float) -> None:
        stage = self._stage
        if stage is None or not stage.on:
            return
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            stage.look_for_gone()
        stage.do(stage.play.tick(now))

    # What members say.

    def is_command(self, message_type: str) -> bool:
        return message_type == "commands"

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> dict[str, Any] | None | Deferred[Any]:
        kind = message["type"]
        if kind == "commands":
            if self._room.options.encoding == "binary":
                raise InvalidRequest("the packets of this room are binary frames")
            self._take(user_id, JSON.parse, message)
            return None
        if kind == "setup":
            return self._setup(user_id, message)
        if kind not in _MESSAGES:
            raise InvalidRequest(f"there is no message of type {kind!r} in a lock-step room")
        stage, seat = self._player(user_id)
        _MESSAGES[kind](stage, seat, user_id == self._room.host, message, self._room.now())
        return None

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        if self._room.options.encoding != "binary":
            raise InvalidRequest("the packets of this room are JSON, in text frames")
        self._take(user_id, BINARY.parse, data)

    def _take(self, user_id: str, parse: Callable[[Any], CommandPacket], data: Any) -> None:
        stage = self._stage
        if stage is None or not stage.on or (seat := stage.seats.get(user_id)) is None:
            stage, seat = self._player(user_id)
        packet = parse(data)
        if effects := stage.play.receive(seat, packet, self._room.now()):
            stage.do(effects)
        if packet.oversized:
            raise InvalidRequest("a command packet must not be over 16 KiB; this one counts as one without commands")

    def _player(self, user_id: str) -> tuple[Stage, int]:
        stage = self._stage
        if stage is None or not stage.on:
            raise BadState("nothing is played in this room at the moment")
        seat = stage.seats.get(user_id)
        if seat is None:
            raise Forbidden("only the players of this play may do this; you are a viewer")
        return stage, seat

    def _setup(self, user_id: str, message: dict[str, Any]) -> Deferred[None]:
        if self._stage is not None:
            raise BadState("the configuration stands while the room plays; change it when the play is over")
        if self._room.member(user_id).viewer:
            raise Forbidden("only players may change the configuration; you are a viewer")
        patch = message.get("patch")
        if not isinstance(patch, dict):
            raise InvalidRequest("patch must be an object, a JSON merge patch (RFC 7396)")
        _check_size("patch", patch, PATCH_BYTES)
        return self._room.configure(patch, user_id)


def _check_size(name: str, value: Any, most: int) -> None:
    if size_of(name, value) > most:
        raise InvalidRequest(f"{name} must not be over {most >> 10} KiB")


def _finish(stage: Stage, seat: int, host: bool, message: dict[str, Any], now: float) -> None:
    generation, results = message.get("generation"), message.get("results")
    if type(generation) is not int or generation < 0:
        raise InvalidRequest("generation must be the number of the generation after which the game had ended")
    if not isinstance(results, dict):
        raise InvalidRequest("results must be an object")
    _check_size("results", results, RESULTS_BYTES)
    stage.do(stage.play.finish(seat, generation, results, now))


def _drop(stage: Stage, seat: int, host: bool, message: dict[str, Any], now: float) -> None:
    other = message.get("seat")
    if type(other) is not int:
        raise InvalidRequest("seat must be the number of the seat to drop")
    stage.do(stage.play.propose_drop(seat, other, now))


def _resolve(stage: Stage, seat: int, host: bool, message: dict[str, Any], now: float) -> None:
    if not host:
        raise Forbidden("only the host may resolve a divergence")
    how = message.get("how")
    if how in ("evict", "resync"):
        raise InvalidRequest(f"{how} is not available; the only way out of a divergence is abort")
    if how != "abort":
        raise InvalidRequest("how must be abort")
    if stage.play.state != DIVERGED:
        raise BadState("the play has not diverged; there is nothing to resolve")
    stage.over(PLAY_DIVERGED)


_MESSAGES: dict[str, Callable[[Stage, int, bool, dict[str, Any], float], None]] = {"finish": _finish, "drop": _drop, "resolve": _resolve}
