"""What is done about a divergence beside the rules: who is told, whose state is looked at, who gets another's (docs/protocol/lockstep.md, hashes)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from gameroom.referees.lockstep_dumps import Dumps
from gameroom.rules.lockstep import DIVERGED
from gameroom.rules.lockstep_values import AskSnapshot, Divergence, Evict, Restore, StateChange
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.referees.lockstep_stage import Stage
    from gameroom.wire.lockstep import Checksum


class Healing:
    """The divergences of one play. `dumped` is how many bytes of dumps its recording has; `metrics` may be None."""

    _log = Logger()

    def __init__(self, stage: Stage, *, dumped: int, metrics: Any) -> None:
        self.dumps = Dumps(tell=stage.tell, note=stage.note, used=dumped)
        self._stage = stage
        self._metrics = metrics
        self._asked: set[int] = set()
        """The seats that were asked for the state which the others are to get."""
        self._late: set[int] = set()
        """Those whose answer nobody needs any more."""
        self._given: dict[int, Outgoing] = {}
        """By seat, until it is resolved: the answers. Which of them is good may show only later."""

    def diverged(self, divergence: Divergence) -> None:
        """Recorded, told, and each player's state asked for."""
        stage, message = self._stage, {"type": "divergence", **divergence.fields}
        self._log.warn("play {play_id} has diverged at generation {generation}", play_id=stage.play_id, generation=divergence.fields["generation"])
        if self._metrics is not None:
            self._metrics.divergences += 1
        if stage.note(message):
            stage.audience.standing = outgoing = Outgoing.json(message)
            stage.broadcast(outgoing)
            players = [seat for user_id, seat in stage.seats.items() if stage.seat_of(user_id) is not None]
            self.dumps.ask(stage.play.seats.connected & set(players), stage.play.generation - 1)

    def state_changed(self, change: StateChange) -> None:
        """A divergence that is resolved has not to be told to those who come."""
        if change.state != DIVERGED:
            self._stage.audience.standing = None
            self._late |= self._asked
            self._asked.clear()
            self._given.clear()

    # One state for all.

    def ask(self, wanted: AskSnapshot) -> None:
        """A player of the majority is asked for its state."""
        self._asked.add(wanted.seat)
        self._late.discard(wanted.seat)
        self._stage.tell(wanted.seat, {"type": "snapshot_request", "generation": wanted.generation})

    def asked(self, seat: int) -> bool:
        """Whether this player was asked for its state and has not answered."""
        return seat in self._asked

    def forgives(self, seat: int) -> bool:
        """Whether this player's answer is one that nobody needs any more."""
        late = seat in self._late
        self._late.discard(seat)
        return late

    def given(self, seat: int, generation: int, checksum: Checksum | None, state: Outgoing | None) -> None:
        """A player's answer, None where it has none: the rules say whether it is good, and who gets it."""
        self._asked.discard(seat)
        if state is not None:
            self._given[seat] = state
        stage = self._stage
        stage.do(stage.play.snapshot_given(seat, generation, checksum if state is not None else None, stage.now()))

    def restore(self, wanted: Restore) -> None:
        """A state that was given is the state of these players too."""
        state, generation, stage = self._given[wanted.giver], wanted.generation, self._stage
        self._given.clear()
        if self._metrics is not None:
            self._metrics.resyncs += 1
        stage.shelf.keep(generation, state)
        for restored in wanted.seats:
            stage.audience.restore(stage.user_ids[restored], generation, state)
        self._log.info(
            "play {play_id}: seats {seats} have the state of seat {seat}", play_id=stage.play_id, seats=list(wanted.seats), seat=wanted.giver
        )

    def evict(self, evicted: Evict) -> None:
        """A player is a viewer from now on."""
        stage = self._stage
        if self._metrics is not None:
            self._metrics.evictions += 1
        self._log.info("play {play_id}: seat {seat} is evicted", play_id=stage.play_id, seat=evicted.seat)
        # Not before it was told so itself, by that master.
        stage.journal.when_told(partial(stage.audience.evict, stage.user_ids[evicted.seat]))
