"""How lock-step plays begin: a recording, and a stage that plays on it (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gameroom import __version__
from gameroom.errors import BadState, NotFound
from gameroom.interfaces import IRoom
from gameroom.referees.lockstep_stage import RECORDING_FAILED, Ground, Stage
from gameroom.referees.lockstep_states import PlayStates
from gameroom.rules import states
from gameroom.rules.lockstep_values import Past, Terms
from gameroom.rules.seats import EVICTED
from gameroom.settings import LockstepSettings
from gameroom.store.disk_watch import RecordingFull

if TYPE_CHECKING:
    from gameroom.rules.room import Player, RoomOptions
    from gameroom.store.recording import Recording
    from gameroom.store.recording_scan import Scan
    from gameroom.store.recordings import Recordings

ABOUT = ("seed", "configuration", "players", "input_delay", "checksum_interval")
"""What both the recording's head and `start` say of a play."""


@attrs.frozen(kw_only=True)
class Reserved:
    """A play that is about to begin."""

    play_id: str
    about: dict[str, Any]
    seats: dict[str, int]
    """By user_id."""
    recording: Recording


def terms_of(options: RoomOptions, settings: LockstepSettings, room_ttl: float) -> Terms:
    """What the plays of a room are played by."""
    return Terms(
        input_delay=options.input_delay,
        checksum_interval=options.checksum_interval,
        lag_after=settings.lag_after,
        drop_after=settings.drop_after,
        room_ttl=room_ttl,
        on_divergence=options.on_divergence,
        patience=None if options.patience is None else options.patience / 1000.0,
    )


class Plays:
    """Makes the plays of one room."""

    _log = Logger()

    def __init__(
        self, room: IRoom, *, recordings: Recordings, settings: LockstepSettings, metrics: Any, room_ttl: float, clock: IReactorTime | None
    ) -> None:
        self._room = room
        self._recordings = recordings
        self._clock = clock
        self._metrics = metrics
        self._sync = (room.options.journal or settings.journal) == "sync"
        self.description = None if room.options.states is None else states.parse(room.options.states)
        """Of the engine's own states."""
        self._terms = terms_of(room.options, settings, room_ttl)

    def reserve(self, play_id: str, players: Sequence[Player]) -> Reserved:
        """Begin the recording of a play; raises `BadState` where that cannot be."""
        options = self._room.options
        about = {
            "seed": options.seed,
            "configuration": self._room.configuration,
            "players": [{"seat": player.seat, "user_id": player.user_id, "name": player.name} for player in players],
            "input_delay": options.input_delay,
            "checksum_interval": options.checksum_interval,
        }
        versions = {"gameroom": __version__, **({"game": options.version} if options.version else {})}
        head = {"engine": options.engine, **about, "versions": versions}
        try:
            recording = self._recordings.create(play_id, head, binary=options.encoding == "binary", sync=self._sync)
        except OSError as error:
            if not isinstance(error, RecordingFull):
                self._log.failure("the recording of play {play_id} cannot be made", play_id=play_id)
            raise BadState("plays cannot be recorded at the moment, so none can begin; try again later") from None
        return Reserved(play_id=play_id, about=about, seats={player.user_id: player.seat for player in players}, recording=recording)

    def discard(self, reserved: Reserved) -> None:
        """It did not begin."""
        self._recordings.discard(reserved.recording)

    def begin(self, reserved: Reserved) -> Stage:
        """Everybody is told `start`; those who have gone meanwhile have left."""
        stage = self._stage(reserved, None)
        stage.audience.begin()
        if stage.states is not None:
            stage.states.begin()
        for user_id, seat in reserved.seats.items():
            if not self._is_member(user_id):
                stage.left(user_id, seat)
        return stage

    def _is_member(self, user_id: str) -> bool:
        try:
            self._room.member(user_id)
        except NotFound:
            return False
        return True

    def _stage(self, play: Reserved, past: Past | None, kept: Sequence[int] = (), dumped: int = 0) -> Stage:
        ground = Ground(
            room=self._room,
            recording=play.recording,
            snapshots=self._recordings.snapshots(play.play_id),
            kept=kept,
            terms=self._terms,
            viewer_delay=self._room.options.viewer_delay,
            dumped=dumped,
            clock=self._clock,
            metrics=self._metrics,
        )
        stage = Stage(ground, play_id=play.play_id, about=play.about, seats=play.seats, past=past)
        self._heed(play.recording, stage)
        if self.description is not None:
            stage.states = PlayStates(self._room, stage, self.description)
        return stage

    def _heed(self, recording: Recording, stage: Stage) -> None:
        """End a play whose recording may not go on. Where masters wait for the disk, the play hears already of whatever goes wrong there."""

        def failed(error: OSError) -> None:
            if isinstance(error, RecordingFull) and stage.on:
                self._log.error("play {play_id} ends: {why}", play_id=stage.play_id, why=error.strerror)
                stage.over(RECORDING_FAILED)

        if recording.failed is None:
            recording.failed = failed

    async def restore(self, play_id: str, seats: dict[str, int]) -> Stage | None:
        """Take a play up from its recording, with these players, by user_id; None where it had ended, as the room is told then."""
        recording, found = await self._recordings.take_up(play_id, sync=self._sync)
        if found.over is not None:
            self._recordings.close(recording)
            self._recordings.snapshots(play_id).keep_only(()).addErrback(lambda failure: None)
            self._room.over(found.over["reason"], found.over.get("results"))
            return None
        # A recording that lost its end in a power cut may be older than a snapshot.
        kept = [generation for generation in await self._kept(play_id) if generation < found.masters]
        about = {key: found.header[key] for key in ABOUT}
        stage = self._stage(Reserved(play_id=play_id, about=about, seats=seats, recording=recording), _past(found), kept, found.dumped)
        if stage.states is not None:
            stage.states.taken_up(found.state)
        else:
            stage.show_state(stage.play.state, stage.play.awaited())
        for player in about["players"]:
            # Who had left when the daemon was killed may not stand in a master yet.
            if stage.play.seats.status[player["seat"]] is EVICTED:
                # Whether its state is the play's by now nobody knows.
                stage.audience.spoiled.add(player["user_id"])
            if player["user_id"] not in seats:
                stage.do(stage.play.left(player["seat"], self._room.now()))
        return stage

    async def _kept(self, play_id: str) -> list[int]:
        try:
            return await self._recordings.snapshots(play_id).found()
        except OSError as error:
            self._log.warn("the snapshots of play {play_id} are not found: {error}", play_id=play_id, error=str(error))
            return []

    def end(self, stage: Stage) -> None:
        """Let go of a play."""
        stage.abandon()
        self._recordings.close(stage.recording)


def _past(found: Scan) -> Past:
    last = found.last
    if last is None:
        return Past(generation=found.masters, events=found.events)
    return Past(generation=found.masters, iterations=last.iterations_per_command, checksum=last.checksum, events=found.events)
