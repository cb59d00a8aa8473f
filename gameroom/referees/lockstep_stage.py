"""One lock-step play that is on: what its rules say is done here, in order (docs/protocol/lockstep.md).

A master is recorded, then given to its audience.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from gameroom.errors import InvalidRequest
from gameroom.interfaces import IRoom
from gameroom.referees.lockstep_audience import Audience
from gameroom.rules.lockstep import ABANDONED, Play
from gameroom.rules.lockstep_values import Divergence, Effect, Effects, Master, Over, Past, Repeat, Resend, StateChange, Terms, Warn
from gameroom.wire.lockstep import BINARY, JSON
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.referees.lockstep_states import PlayStates
    from gameroom.store.recording import Recording

RECORDING_FAILED: Final = "recording_failed"
"""Why a play is over whose masters cannot be kept; beside the reasons of the rules."""


class Stage:
    """A play's rules, its recording and its audience.

    `about` is what both the recording's head and `start` say of it. `metrics` may be None.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        room: IRoom,
        play_id: str,
        about: Mapping[str, Any],
        seats: Mapping[str, int],
        recording: Recording,
        terms: Terms,
        past: Past | None,
        metrics: Any,
    ) -> None:
        self.play_id = play_id
        self.seats = dict(seats)
        """The players' seats by user_id, without those who have left."""
        self.on = True
        """False once the play is over."""
        self.states: PlayStates | None = None
        """Where the engine describes states of its own."""
        self.recording = recording
        codec = BINARY if recording.binary else JSON
        self.play = Play(
            terms=terms,
            packets=codec,
            seats=[player["seat"] for player in about["players"]],
            connected=[seat for user_id, seat in seats.items() if room.is_connected(user_id)],
            now=room.now(),
            past=past,
        )
        self.audience = Audience(room=room, play_id=play_id, about=about, recording=recording, codec=codec)
        self._room = room
        self._metrics = metrics
        self._user_ids = {player["seat"]: player["user_id"] for player in about["players"]}
        self._held: deque[Outgoing] = deque()
        self._to_do: deque[Effect] = deque()
        self._busy = False
        if recording.sync:
            recording.synced, recording.failed = self._on_the_disk, self._not_recorded
        self._doing: dict[type, Callable[[Any], None]] = {
            Master: self._master,
            Repeat: lambda wanted: self.audience.repeat(self._room.connections(self._user_ids[wanted.seat]), wanted.generation),
            Resend: lambda asked: self._tell(asked.seat, {"type": "resend", "generation": asked.generation}),
            Warn: lambda warning: self._tell(warning.seat, {"type": "error", "code": InvalidRequest.code, "message": warning.message}),
            StateChange: self._state_change,
            Divergence: self._divergence,
            Over: lambda ended: self.over(ended.reason, ended.results),
        }

    def do(self, effects: Effects) -> None:
        """What the rules have said, in order; nothing more once the play is over."""
        self._to_do.extend(effects)
        if self._busy:
            # A reader that is too slow is cut off while it is given something, and its going has effects of its own: they come after.
            return
        self._busy = True
        try:
            while self._to_do and self.on:
                effect = self._to_do.popleft()
                self._doing[type(effect)](effect)
        finally:
            self._busy = False

    # How it begins.

    def begin(self) -> None:
        """The first generation is open."""
        self.audience.begin()

    def taken_up(self) -> None:
        """After a restart: who had left when the daemon was killed may not stand in a master yet."""
        if self.states is None:
            self.show_state(self.play.state, self.play.awaited())
        for seat, user_id in self._user_ids.items():
            if user_id not in self.seats:
                self.do(self.play.left(seat, self._room.now()))

    # Who is there.

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
        if self.on and self.seats.pop(user_id, None) is not None:
            self.do(self.play.left(seat, self._room.now()))

    # Masters.

    def _master(self, master: Master) -> None:
        try:
            self.recording.append(master.data, self._room.now())
        except OSError as error:
            self._not_recorded(error)
            return
        if self._metrics is not None:
            self._metrics.masters += 1
            self._metrics.turn_seconds.observe(master.waited)
        outgoing = Outgoing(master.data, self.recording.binary)
        if self.recording.sync:
            self._held.append(outgoing)
        else:
            self.audience.give(outgoing)

    def _on_the_disk(self, masters: int) -> None:
        while self.on and self._held and self.audience.told < masters:
            self.audience.give(self._held.popleft())

    def _not_recorded(self, error: OSError) -> None:
        self._log.error("play {play_id} ends, since it cannot be recorded: {error}", play_id=self.play_id, error=str(error))
        self.over(RECORDING_FAILED)

    # Telling.

    def _state_change(self, change: StateChange) -> None:
        if self.states is None:
            self.show_state(change.state, change.seats)
        else:
            self.states.changed(change)

    def show_state(self, state: str, seats: Iterable[int]) -> None:
        """Tell everyone the state, and whom it is about."""
        members = [self._user_ids[seat] for seat in seats]
        self._room.show_state(state, members=members or None)

    def _tell(self, seat: int, message: dict[str, Any]) -> None:
        self._room.tell(self._user_ids[seat], Outgoing.json(message))

    def _divergence(self, divergence: Divergence) -> None:
        message = {"type": "divergence", **divergence.fields}
        self._log.warn("play {play_id} has diverged at generation {generation}", play_id=self.play_id, generation=divergence.fields["generation"])
        if self.note(message):
            self._room.broadcast(Outgoing.json(message))

    def note(self, fields: Mapping[str, Any]) -> bool:
        """Write a line of something else into the recording; where that cannot be, the play is over, and this False."""
        try:
            self.recording.note(fields, self._room.now())
        except OSError as error:
            self._not_recorded(error)
            return False
        return True

    # How it ends.

    def over(self, reason: str, results: Any = None) -> None:
        """The play has ended; the recording says so as well, if it can."""
        if self.on:
            self._note_over(reason, results)
            self._room.over(reason, results)

    def abandon(self) -> None:
        """The room lets go of the play; one that is still on is over."""
        if self.on:
            self._note_over(ABANDONED)

    def _note_over(self, reason: str, results: Any = None) -> None:
        self.on = self.audience.on = False
        fields = {"type": "over", "reason": reason} if results is None else {"type": "over", "reason": reason, "results": results}
        try:
            self.recording.note(fields, self._room.now())
        except OSError as error:
            self._log.error("the end of play {play_id} is not in its recording: {error}", play_id=self.play_id, error=str(error))
