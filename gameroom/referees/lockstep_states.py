"""A lock-step room in its engine's own states: what members and time make of them (docs/protocol/lockstep.md, States).

In setup the state is the room's, and durable before it is told; in a play it stands in the recording.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.interfaces import IRoom
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING
from gameroom.rules.lockstep_values import NOTHING, StateChange
from gameroom.rules.seats import EVICTED
from gameroom.rules.state_machine import States
from gameroom.rules.states import RUNNING, SETUP, Description, beginning, within

if TYPE_CHECKING:
    from gameroom.referees.lockstep_stage import Stage


def event_of(message: dict[str, Any]) -> str:
    """The event of a `transition`."""
    event = message.get("event")
    if not isinstance(event, str):
        raise InvalidRequest("event must be the name of an event of the engine's own states")
    return event


class SetupStates:
    """The states of one room in setup; what they are is the room's to say, whose changes may be taken back."""

    def __init__(self, room: IRoom, description: Description) -> None:
        self._room = room
        self._description = description
        self._states: States | None = None

    def leave(self) -> None:
        """Setup is over, or begins anew: votes are void, and deadlines count from the next look on."""
        self._states = None

    def ask(self, user_id: str, event: str) -> Deferred[None] | None:
        """A member sends an event; fires when what follows is durable and told. Raises as `States.ask`, `Forbidden` for a viewer."""
        if self._room.member(user_id).viewer:
            raise Forbidden("only players may do this; you are a viewer")
        states, now = self._present(), self._room.now()
        changed = states.ask(event, user_id, host=user_id == self._room.host, present=self._voters(), now=now)
        return self._room.enter(states.state) if changed else None

    def tick(self, now: float) -> None:
        """Look at deadlines, and whether a vote is carried since somebody has gone."""
        if not within(self._room.setup_state, SETUP):
            return
        states = self._present()
        if states.tick(now) or (states.votes and states.recount(self._voters(), now)):
            # Where it cannot be saved the room is in the state that it was in, and this is looked at anew.
            self._room.enter(states.state).addErrback(lambda failure: None)

    def rests_until(self, now: float) -> float:
        """Until when `tick` has nothing to do. Who goes wakes the room, so votes need no look."""
        states = self._states
        # The time of a state counts from when it was first looked at.
        return now if states is None or states.state != self._room.setup_state else states.next_due()

    def _present(self) -> States:
        state = self._room.setup_state
        if not within(state, SETUP):
            raise BadState("the play is about to begin, or to end")
        if self._states is None or self._states.state != state:
            self._states = States(self._description, state, self._room.now())
        return self._states

    def _voters(self) -> list[str]:
        return [user_id for user_id in self._room.seated if self._room.is_connected(user_id)]


class PlayStates:
    """The states of one play. It holds the play in the paused states of the engine's own."""

    def __init__(self, room: IRoom, stage: Stage, description: Description) -> None:
        self._room = room
        self._stage = stage
        self._description = description
        self._states = States(description, beginning(room.options.states, RUNNING), room.now())
        self._holding = False
        self._back_at: float | None = None
        """After a restart in a held state: when it is entered again at the latest."""
        self._shown: tuple[str, tuple[int, ...]] | None = None

    # How it begins.

    def begin(self) -> None:
        """The play begins, in the state that members were told."""
        self._shown = self._states.state, ()
        if self._states.state == ITERATING or self._note():
            self._hold_or_release(self._room.now())

    def taken_up(self, state: str | None) -> None:
        """After a restart the play lags, and then is back in the state that its recording says last."""
        now = self._room.now()
        if state is not None and state in self._description.states:
            self._states = States(self._description, state, now)
        self._hold_or_release(now)
        if self._holding:
            self._back_at = now + self._stage.play.terms.drop_after
        self._states.pause(LAGGING, now)
        self._show(self._stage.play.awaited())

    # What happens to it.

    def changed(self, change: StateChange) -> None:
        """The play lags, has diverged, or goes on. In the engine's own paused states neither is looked for."""
        states, now = self._states, self._room.now()
        if self._holding:
            return
        if change.state == ITERATING:
            if states.left is not None:
                states.back(now)
        elif states.left is not None or change.state == DIVERGED or within(states.state, ITERATING):
            states.pause(change.state, now)
        self._show(change.seats)

    def ask(self, user_id: str, seat: int, event: str) -> None:
        """A player sends an event. Raises as `States.ask`, `Forbidden` for who was evicted."""
        host, now = user_id == self._room.host, self._room.now()
        if self._stage.play.seats.status[seat] is EVICTED and not host:
            raise Forbidden("only the players of this play may do this; you are a viewer")
        if self._states.ask(event, user_id, host=host, present=self._voters(), now=now):
            self._moved(now)

    def tick(self, now: float) -> None:
        """Look at deadlines, and whether a vote is carried since somebody has gone."""
        states, play = self._states, self._stage.play
        if self._back_at is not None:
            if not play.awaited() or now >= self._back_at:
                self._back_at = None
                states.back(now)
            self._show(play.awaited())
        if states.tick(now) or (states.votes and states.recount(self._voters(), now)):
            self._moved(now)

    def next_due(self) -> float:
        """When `tick` has something to do while the play goes on. Who goes wakes the room, so votes need no look."""
        return self._states.next_due()

    def _voters(self) -> list[str]:
        connected = self._stage.play.seats.connected
        return [user_id for user_id, seat in self._stage.seats.items() if seat in connected]

    # What follows.

    def _moved(self, now: float) -> None:
        """The engine's own state is another one. It ends neither lag nor divergence: while the play is so, it is in that state again."""
        self._room.wake()
        states, play = self._states, self._stage.play
        if states.left is None:
            self._back_at = None
        if not self._note():
            return
        effects = self._hold_or_release(now) if states.left is None else NOTHING
        # A play that was let go of looks at everything anew, and says so by its effects.
        if not effects and states.left is None and (play.state == DIVERGED or (play.state == LAGGING and within(states.state, ITERATING))):
            states.pause(play.state, now)
        self._show(play.awaited())
        self._stage.do(effects)

    def _hold_or_release(self, now: float) -> Any:
        play, was = self._stage.play, self._holding
        self._holding = self._states.held
        if self._holding and not was:
            play.hold(now)
        return play.release(now) if was and not self._holding else NOTHING

    def _note(self) -> bool:
        return self._stage.note({"type": "state", "state": self._states.own})

    def _show(self, seats: Iterable[int]) -> None:
        """Tell everyone, where something is new; `seats` are those that are waited for."""
        shown = self._states.state, tuple(seats) if self._states.left is not None else ()
        if shown != self._shown:
            self._shown = shown
            self._stage.show_state(*shown)
