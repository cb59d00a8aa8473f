"""What is kept of one play of a service room: in the database, and for as long as there is room for it in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from gameroom.errors import GameroomError
from gameroom.interfaces import IDatabase
from gameroom.referees.service_states import KeptStates
from gameroom.referees.service_told import Ticket, error_of_rejected
from gameroom.rules.service_game import Held, Outcome, ServiceGame
from gameroom.store import service_games
from gameroom.store.service_games import Step


class NotYetError(Exception):
    """What is stored is not what was told; it will be in a moment."""


class Books:
    """Of one play."""

    def __init__(self, room_id: str, game: ServiceGame, *, database: IDatabase, states: KeptStates) -> None:
        self._room_id = room_id
        self._game = game
        self._database = database
        self._states = states
        self._over = False
        self.update_bytes = 0
        """What the next update needs of memory: what the room holds, and its state once more as it is sent."""

    @property
    def here(self) -> Held | None:
        """What the room holds, where that is in memory."""
        return None if self._over else self._states.get(self._room_id)

    def put(self, held: Held) -> None:
        """The room holds this, durably."""
        self.update_bytes = held.size + len(held.state)
        self._states.put(self._room_id, held)

    async def held(self) -> Held:
        """What goes with the game's `kept`. Raises `NotYetError` while something newer is stored, and what the database does."""
        held = self.here
        if held is not None:
            return held
        row = await self._database.interact(service_games.load, self._room_id)
        # Meanwhile it may have gone on, or come to its end.
        kept = self._game.kept
        if self._over or row is None or (row.kept.play_id, row.kept.sequence) != (kept.play_id, kept.sequence):
            raise NotYetError("what is stored of this play is not what was told of it")
        self.put(row.held)
        return row.held

    def save(self, outcome: Outcome) -> Deferred[None]:
        """Fires when it is durable. Again is fine."""
        return self._database.interact(service_games.save, self._room_id, step_of(outcome))

    def forget(self) -> None:
        """The play is over: nothing of it is needed in memory, nor what is being read of it."""
        self._over = True
        self._states.forget(self._room_id)


def step_of(outcome: Outcome, how: dict[str, Any] | None = None) -> Step:
    """What is kept of an outcome, and `how` the play ended by it."""
    ticket: Ticket | None = outcome.ticket
    answered = None if ticket is None else ticket.answered(refusal(outcome))
    return Step(kept=outcome.kept, held=outcome.held, answered=answered, ended=how)


def refusal(outcome: Outcome) -> GameroomError | None:
    """What the sender is told where the service has rejected it."""
    rejected = outcome.answer.rejected
    return None if rejected is None else error_of_rejected(rejected)
