"""One lock-step play that is on: what its rules say is done here, in order (docs/protocol/lockstep.md).

A master is recorded, then given to its audience.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gameroom.errors import InvalidRequest
from gameroom.interfaces import IRoom
from gameroom.referees.lockstep_agenda import Agenda
from gameroom.referees.lockstep_audience import Audience
from gameroom.referees.lockstep_delay import DelayedAudience
from gameroom.referees.lockstep_healing import Healing
from gameroom.referees.lockstep_journal import Journal
from gameroom.referees.lockstep_lane import SeatLane
from gameroom.referees.lockstep_patience import PatienceTimer
from gameroom.referees.lockstep_shelf import Shelf
from gameroom.referees.lockstep_snapshots import Snapshots
from gameroom.rules.limits import KeyedBuckets
from gameroom.rules.lockstep import ABANDONED, ITERATING, Play
from gameroom.rules.lockstep_values import (
    AskSnapshot,
    Divergence,
    Effects,
    Evict,
    Over,
    Past,
    Repeat,
    Resend,
    Restore,
    StateChange,
    Terms,
    Warn,
)
from gameroom.rules.master import Master
from gameroom.rules.seats import EVICTED
from gameroom.wire.lockstep import BINARY, JSON, CommandPacket
from gameroom.wire.room_messages import Hello, Outgoing

if TYPE_CHECKING:
    from gameroom.referees.lockstep_states import PlayStates
    from gameroom.store.recording import Recording
    from gameroom.store.snapshot_files import SnapshotFiles

RECORDING_FAILED: Final = "recording_failed"
"""Why a play is over whose masters cannot be kept; beside the reasons of the rules."""
REPEATS_A_SECOND, REPEATS_AT_ONCE = 100.0, 300.0
"""So often a player is sent again what it says that it has missed; each reads the disk, and may be 1 MiB for a packet of 70 bytes."""
LOOK_EVERY: Final = 5.0
"""Seconds between looks for connections that are gone."""


@attrs.frozen(kw_only=True)
class Ground:
    """What a play stands on. `metrics` may be None, and so may `clock` where nobody's patience is short."""

    room: IRoom
    recording: Recording
    snapshots: SnapshotFiles
    kept: Sequence[int] = ()
    """The generations of which there is a snapshot already."""
    terms: Terms
    viewer_delay: int = 0
    """Generations that viewers are held behind."""
    dumped: int = 0
    """Bytes of dumps that the recording has."""
    clock: IReactorTime | None = None
    metrics: Any = None


class Stage:
    """A play's rules, its recording and its audience.

    `about` is what both the recording's head and `start` say of it, `seats` who plays, by user_id.
    """

    _log = Logger()

    def __init__(self, ground: Ground, *, play_id: str, about: Mapping[str, Any], seats: Mapping[str, int], past: Past | None) -> None:
        room, recording, terms = ground.room, ground.recording, ground.terms
        self.play_id = play_id
        self.seats = dict(seats)
        """The players' seats by user_id, without those who have left."""
        self.user_ids = {player["seat"]: player["user_id"] for player in about["players"]}
        self.states: PlayStates | None = None
        """Where the engine describes states of its own."""
        self.recording = recording
        self.codec = codec = BINARY if recording.binary else JSON
        self.play = Play(
            terms=terms,
            packets=codec,
            seats=self.user_ids,
            connected=[seat for user_id, seat in seats.items() if room.is_connected(user_id)],
            now=room.now(),
            past=past,
        )
        self.shelf = Shelf(files=ground.snapshots, kept=list(ground.kept), now=room.now, shown=lambda: self.audience.shown, metrics=ground.metrics)
        self.snapshots = Snapshots(play=self.play, shelf=self.shelf, ask=self._ask_snapshot, now=room.now, watch=self._watch)
        self.audience = self._make_audience(ground, play_id=play_id, about=about, codec=codec)
        self.journal = Journal(recording=recording, audience=self.audience, now=room.now, failed=self._not_recorded, metrics=ground.metrics)
        self.note, self.broadcast, self.now = self.journal.note, room.broadcast, room.now
        self.healing = Healing(self, dumped=ground.dumped, metrics=ground.metrics)
        self.agenda = Agenda(self._deeds(), self.journal.tell)
        self.do: Callable[[Effects], None] = self.agenda.do
        """What the rules have said is done, in order."""
        self._patience = None
        if terms.patience is not None and ground.clock is not None:
            self._patience = PatienceTimer(play=self.play, patience=terms.patience, clock=ground.clock, do=self.do)
        self._room = room
        self._looked = 0.0
        self._repeats = KeyedBuckets(REPEATS_A_SECOND, REPEATS_AT_ONCE)
        self._lanes: dict[str, SeatLane] = {}

    @property
    def on(self) -> bool:
        """False once the play is over."""
        return self.agenda.on

    def _make_audience(self, ground: Ground, **play: Any) -> Audience:
        parts = {
            "room": ground.room,
            "recording": ground.recording,
            "snapshots": self.snapshots,
            "shelf": self.shelf,
            "seat_of": self.seat_of,
            **play,
        }
        return DelayedAudience(ground.viewer_delay, **parts) if ground.viewer_delay else Audience(**parts)

    def _deeds(self) -> dict[type, Callable[[Any], None]]:
        return {
            Repeat: self._repeat,
            Resend: lambda asked: self.tell(asked.seat, {"type": "resend", "generation": asked.generation}),
            Warn: lambda warning: self.tell(warning.seat, {"type": "error", "code": InvalidRequest.code, "message": warning.message}),
            StateChange: self._state_change,
            Divergence: self.healing.diverged,
            AskSnapshot: self.healing.ask,
            Restore: self.healing.restore,
            Evict: self.healing.evict,
            Over: lambda ended: self.over(ended.reason, ended.results),
        }

    def _repeat(self, wanted: Repeat) -> None:
        if self._repeats.take(wanted.seat, self.now()):
            self.audience.repeat(self._room.connections(self.user_ids[wanted.seat]), wanted.generation)

    # Who is there.

    def seat_of(self, user_id: str) -> int | None:
        """The seat of one who plays, is away or dropped; None for viewers, and who has left or was evicted is one."""
        seat = self.seats.get(user_id)
        return None if seat is None or self.play.seats.status[seat] is EVICTED else seat

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None:
        """A member's connection is to be brought up to date."""
        seat, missed = self.seat_of(user_id), self.audience.told - self.audience.first_missed(hello)
        if seat in self.play.seats.connected and connection.exclusive and missed > self.play.terms.input_delay:
            # It has taken over from one of its own before that was found to be gone, and will not report what that one still owed.
            assert seat is not None
            self.do(self.play.disconnected(seat, self._room.now()))
            self.connected(user_id)
        if self.on:
            self.audience.bring_up_to_date(user_id, connection, hello)

    def lane(self, user_id: str, parse: Callable[[dict[str, Any]], CommandPacket]) -> SeatLane | None:
        """The short way for a player's packets, `commands` messages being read by `parse`; None for who has no seat."""
        seat = self.seats.get(user_id)
        if seat is None or not self.on:
            return None
        lane = self._lanes.get(user_id)
        if lane is None:
            lane = self._lanes[user_id] = SeatLane(self, self.play, seat, self.now, None if self.recording.binary else parse)
        return lane

    def _close_lane(self, user_id: str) -> None:
        lane = self._lanes.pop(user_id, None)
        if lane is not None:
            lane.close()

    def connected(self, user_id: str) -> None:
        """A member has a connection again."""
        if self.on and user_id in self.seats:
            self.do(self.play.connected(self.seats[user_id], self._room.now()))

    def disconnected(self, user_id: str) -> None:
        """A member's last connection is gone."""
        if self.on:
            self.audience.look_for_gone()
            if user_id in self.seats:
                self.do(self.play.disconnected(self.seats[user_id], self._room.now()))

    def left(self, user_id: str, seat: int) -> None:
        """A player is gone for good."""
        self._close_lane(user_id)
        if self.on and self.seats.pop(user_id, None) is not None:
            self.do(self.play.left(seat, self._room.now()))

    def tick(self, now: float) -> None:
        """Look at deadlines."""
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self.audience.look_for_gone()
        if effects := self.play.tick(now):
            self.do(effects)
        if self.on:
            self.snapshots.tick(now)

    def rests_until(self, now: float) -> float:
        """Until when there are no deadlines. Whatever begins meanwhile and is due before wakes the room."""
        if self.play.state is not ITERATING or self.snapshots.waits:
            return now
        due = self.play.rests_until(now)
        return due if self.states is None else min(due, self.states.next_due())

    # Snapshots that viewers and late players wait for.

    def _ask_snapshot(self, seat: int, generation: int) -> None:
        self._room.wake()
        self.tell(seat, {"type": "snapshot_request", "generation": generation})

    def _watch(self) -> None:
        """A snapshot waits for its hash to be agreed: it is looked at after each master until then."""

        def tell(masters: list[Master]) -> None:
            for master in masters:
                # Where one cannot be recorded the play is over.
                if self.on:
                    self.journal.tell([master])
                if self.on:
                    self.snapshots.look()
            if not self.snapshots.candidates:
                self.agenda.tell_masters = self.journal.tell

        self.agenda.tell_masters = tell

    # Telling.

    def _state_change(self, change: StateChange) -> None:
        self._room.wake()
        self.healing.state_changed(change)
        if self.states is None:
            self.show_state(change.state, change.seats)
        else:
            self.states.changed(change)

    def show_state(self, state: str, seats: Iterable[int]) -> None:
        """Tell everyone the state, and whom it is about."""
        members = [self.user_ids[seat] for seat in seats]
        self._room.show_state(state, members=members or None)

    def tell(self, seat: int, message: dict[str, Any]) -> None:
        """Tell a player at all its connections."""
        self._room.tell(self.user_ids[seat], Outgoing.json(message))

    # How it ends.

    def _not_recorded(self, error: OSError) -> None:
        self._log.error("play {play_id} ends, since it cannot be recorded: {error}", play_id=self.play_id, error=str(error))
        self.over(RECORDING_FAILED)

    def over(self, reason: str, results: Any = None, tell: bool = True) -> None:
        """The play has ended; the recording says so as well, if it can, and the room is told."""
        if not self.on:
            return
        self.agenda.on = False
        for user_id in [*self._lanes]:
            self._close_lane(user_id)
        self.journal.over(reason, results)
        self.audience.end()
        self.snapshots.end()
        if self._patience is not None:
            self._patience.stop()
        if tell:
            self._room.over(reason, results)

    def abandon(self) -> None:
        """The room lets go of the play; one that is still on is over."""
        self.over(ABANDONED, tell=False)
