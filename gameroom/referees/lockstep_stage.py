"""One lock-step play that is on: what its rules say is done here, in order (docs/protocol/lockstep.md).

A master is recorded, then given to every connection that is up to date.
Those who come later read the recording first, at their own pace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from gameroom.errors import BadState, InvalidRequest
from gameroom.interfaces import IRoom
from gameroom.rules.lockstep import Play
from gameroom.rules.lockstep_values import Divergence, Effect, Effects, Master, Over, Past, Repeat, Resend, StateChange, Terms, Warn
from gameroom.rules.pace import FIRST_ITERATIONS
from gameroom.wire.lockstep import BINARY, JSON
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.store.recording import Reader, Recording

RECORDING_FAILED: Final = "recording_failed"
"""Why a play is over whose masters cannot be kept; beside the reasons of the rules."""


class Stage:
    """A play's rules, its recording, and who gets its masters.

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
        self.recording = recording
        self.codec = BINARY if recording.binary else JSON
        self.play = Play(
            terms=terms,
            packets=self.codec,
            seats=[player["seat"] for player in about["players"]],
            connected=[seat for user_id, seat in seats.items() if room.is_connected(user_id)],
            now=room.now(),
            past=past,
        )
        self._about = about
        self._room = room
        self._metrics = metrics
        self._user_ids = {player["seat"]: player["user_id"] for player in about["players"]}
        self._told = recording.masters
        self._held: deque[Outgoing] = deque()
        self._live: list[Any] = []
        self._reading: dict[Any, Reader] = {}
        """The connections that are given history, and the newest of it where they asked again."""
        self._to_do: deque[Effect] = deque()
        self._busy = False
        if recording.sync:
            recording.synced, recording.failed = self._on_the_disk, self._not_recorded
        self._doing: dict[type, Callable[[Any], None]] = {
            Master: self._master,
            Repeat: self._repeat,
            Resend: lambda asked: self._tell(asked.seat, {"type": "resend", "generation": asked.generation}),
            Warn: lambda warning: self._tell(warning.seat, {"type": "error", "code": InvalidRequest.code, "message": warning.message}),
            StateChange: lambda change: self.show_state(change.state, change.seats),
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
            self._give(outgoing)

    def _give(self, outgoing: Outgoing) -> None:
        self._told += 1
        for connection in self._live:
            connection.deliver(outgoing)

    def _on_the_disk(self, masters: int) -> None:
        while self.on and self._held and self._told < masters:
            self._give(self._held.popleft())

    def _not_recorded(self, error: OSError) -> None:
        self._log.error("play {play_id} ends, since it cannot be recorded: {error}", play_id=self.play_id, error=str(error))
        self.over(RECORDING_FAILED)

    def _repeat(self, wanted: Repeat) -> None:
        masters = self.recording.reader(wanted.generation).batch(min(self._told, wanted.generation + 1))
        for connection in self._room.connections(self._user_ids[wanted.seat]):
            # The others are being given it as history.
            if masters and connection in self._live:
                connection.deliver(Outgoing(masters[0], self.recording.binary))

    # Who gets them.

    def begin(self) -> None:
        """Everybody is told `start`, and gets the masters from the first on."""
        self._room.broadcast(Outgoing.json(self._start()))
        self._live = [connection for connection in self._room.everyone() if self._takes_packets(connection)]

    def _start(self) -> dict[str, Any]:
        return {"type": "start", "play_id": self.play_id, **self._about, "iterations_per_command": FIRST_ITERATIONS}

    def _takes_packets(self, connection: Any) -> bool:
        return bool(connection.binary or not self.recording.binary)

    def first_missed(self, play_id: str | None, last_generation: int | None) -> int:
        """The generation from which on somebody has missed masters, who says what it had last.

        Raises `BadState` for a last generation that nobody was told yet.
        """
        if play_id != self.play_id or last_generation is None:
            return 0
        if last_generation >= self._told:
            raise BadState(f"there is no generation {last_generation} yet; the next master is {self._told}")
        return last_generation + 1

    def bring_up_to_date(self, connection: Any, play_id: str | None, last_generation: int | None) -> None:
        """A connection that has just come: `start`, the masters that it has missed, and from then on each as it comes."""
        first = self.first_missed(play_id, last_generation)
        self.look_for_gone()
        connection.deliver(Outgoing.json({**self._start(), "generation": self._told}))
        if self._takes_packets(connection):
            connection.catch_up(self._history(connection, first))

    def _history(self, connection: Any, first: int) -> Callable[[], Outgoing | None]:
        reader = self._reading[connection] = self.recording.reader(first)
        if connection in self._live:
            # It has said hello again: what is mastered meanwhile is part of the history.
            self._live.remove(connection)

        def source() -> Outgoing | None:
            if self._reading.get(connection) is not reader:
                return None
            start = reader.generation
            try:
                masters = reader.batch(self._told)
            except OSError as error:
                self._log.error("history of play {play_id} cannot be read: {error}", play_id=self.play_id, error=str(error))
                connection.close(BadState("what has been played so far cannot be read at the moment; come back later"))
                return None
            if masters:
                return Outgoing(self.codec.masters(start, masters), self.recording.binary)
            del self._reading[connection]
            if self.on:
                self._live.append(connection)
            return None

        return source

    def look_for_gone(self) -> None:
        """Forget the connections that the room no longer has."""
        present = set(self._room.everyone())
        self._live = [connection for connection in self._live if connection in present]
        self._reading = {connection: reader for connection, reader in self._reading.items() if connection in present}

    # Telling.

    def show_state(self, state: str, seats: Iterable[int]) -> None:
        members = [self._user_ids[seat] for seat in seats]
        self._room.show_state(state, members=members or None)

    def _tell(self, seat: int, message: dict[str, Any]) -> None:
        self._room.tell(self._user_ids[seat], Outgoing.json(message))

    def _divergence(self, divergence: Divergence) -> None:
        message = {"type": "divergence", **divergence.fields}
        self._log.warn("play {play_id} has diverged at generation {generation}", play_id=self.play_id, generation=divergence.fields["generation"])
        try:
            self.recording.note(message, self._room.now())
        except OSError as error:
            self._not_recorded(error)
        else:
            self._room.broadcast(Outgoing.json(message))

    def over(self, reason: str, results: Any = None) -> None:
        """The play has ended; the recording says so as well, if it can."""
        if self.on:
            self.note_over(reason, results)
            self._room.over(reason, results)

    def note_over(self, reason: str, results: Any = None) -> None:
        """The play has ended: the recording's last line."""
        self.on = False
        fields = {"type": "over", "reason": reason} if results is None else {"type": "over", "reason": reason, "results": results}
        try:
            self.recording.note(fields, self._room.now())
        except OSError as error:
            self._log.error("the end of play {play_id} is not in its recording: {error}", play_id=self.play_id, error=str(error))
