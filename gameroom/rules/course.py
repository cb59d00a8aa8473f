"""The course of a lock-step play: its states, its deadlines, and when masters may be made (docs/protocol/lockstep.md).

The states are those below `running`; in those below `running.paused` no master is made:

    iterating ── a packet is missing for lag_after, another's is there ──> paused.lagging ── all have come ──> iterating
    iterating ── two hashes differ, or too many are left out ──> paused.diverged ── all agree again ──> iterating

Both are looked for while it iterates; an engine may have paused states of its own, in which neither is (`hold`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import Final

from gameroom.rules.dispute import HALT, Dispute
from gameroom.rules.lockstep_values import NOTHING, Effect, Effects, Over, Past, Resend, StateChange, Terms
from gameroom.rules.results import Results
from gameroom.rules.seats import DROPPED, PLAYS, Seats
from gameroom.rules.turns import Turns
from gameroom.wire.lockstep import Packets

ITERATING: Final = "running.iterating"
LAGGING: Final = "running.paused.lagging"
DIVERGED: Final = "running.paused.diverged"
HELD: Final = "running.paused"
"""Some paused state of the engine's own."""
FINISHED, ABANDONED = "finished", "abandoned"
"""Reasons for which a play is over; when the host gives it up after a divergence it is `diverged`."""


class Course:
    """What goes on in one play, by itself and with the time. Times are in seconds, players are named by their seats."""

    def __init__(
        self, *, terms: Terms, packets: Packets, seats: Collection[int], connected: Collection[int], now: float, past: Past | None = None
    ) -> None:
        self.terms = terms
        self._packets = packets
        self.state = ITERATING if past is None else LAGGING
        # After a restart nobody can be there in time: patience begins when all have come back, or were dropped.
        self._resumed = now if past is None else inf
        past = past or Past()
        self.seats = Seats(seats, connected, now)
        self.seats.remember(past.events, now)
        self._turns = Turns(terms=terms, packets=packets, seats=self.seats, past=past, now=now)
        self._gathering, self._hashes = self._turns.gathering, self._turns.hashes
        self._dispute = Dispute(terms=terms, turns=self._turns)
        self._results = Results(all_needed=terms.on_divergence == HALT)
        self._lagging = tuple(self.awaited())
        self._asked = now

    @property
    def generation(self) -> int:
        """The next to be mastered."""
        return self._gathering.generation

    def awaited(self) -> list[int]:
        """The seats whose packets the next master waits for."""
        return self._gathering.awaited()

    # States.

    def _settle(self, effects: list[Effect], now: float) -> Effects:
        """After something out of the ordinary: what state it is now, and what can be mastered."""
        if self.state is HELD:
            return effects
        if self.state is LAGGING:
            lagging = tuple(self.awaited())
            self.seats.lagging(lagging, now)
            if lagging:
                if lagging != self._lagging:
                    self._enter(LAGGING, lagging, effects, now)
                return effects
            self._enter(ITERATING, (), effects, now)
        while self.state is DIVERGED or not self._turns.make(effects, now):
            if self.state is not DIVERGED:
                self._enter(DIVERGED, (), effects, now)
                self._dispute.begin(now)
            if not self._dispute.look(effects, now):
                return effects
            self._enter(ITERATING, (), effects, now)
            if ended := self._ended(effects):
                return ended
        return effects

    def _enter(self, state: str, seats: tuple[int, ...], effects: list[Effect], now: float) -> None:
        if state != self.state:
            self._asked = now
        if state is ITERATING:
            self._resume(now)
        self.state, self._lagging = state, seats
        effects.append(StateChange(state, seats))

    def _resume(self, now: float) -> None:
        """Whoever has not sent its packet yet has time for it again."""
        self._resumed = now
        self._gathering.reopen(now)

    def _go_on(self, dropping: Sequence[int], effects: list[Effect], now: float) -> Effects:
        """The play carries on without these and those whom all others want to drop, as the next master will say."""
        while dropping := dropping or ([] if self.state is DIVERGED else self.seats.carried()):
            for seat in dropping:
                self._turns.take_out(seat, "dropped", DROPPED, now)
            dropping = ()
        return self._ended(effects) or self._settle(effects, now)

    def _ended(self, effects: list[Effect]) -> Effects | None:
        settled = None if self.state is DIVERGED else self._results.settled(self.seats.having(PLAYS))
        return settled and [*effects, Over(FINISHED, *settled)]

    # Deadlines.

    def tick(self, now: float) -> Effects:
        """Look at the deadlines."""
        terms, effects = self.terms, list[Effect]()
        if self.seats.deserted is not None and now - self.seats.deserted >= terms.room_ttl:
            return (Over(ABANDONED),)
        if self.state is HELD:
            return NOTHING
        if terms.patience is not None:
            self._lose_patience(effects, now)
        if self.state is DIVERGED:
            return self._settle(effects, now)
        if self.state is ITERATING:
            since = self._gathering.waiting_since()
            if since is not None and now - since >= terms.lag_after:
                lagging = tuple(self.awaited())
                self.seats.lagging(lagging, now)
                self._enter(LAGGING, lagging, effects, now)
                self._asked = now - terms.lag_after
        if self.state is LAGGING and now - self._asked >= terms.lag_after:
            # What was lost on the way, the first asking included, does not come by itself.
            self._asked = now
            effects += [Resend(seat, self.generation) for seat in self.awaited() if seat in self.seats.connected]
        overdue = self.seats.overdue(now, terms.drop_after)
        return self._go_on(overdue, effects, now) if overdue else effects

    def rests_until(self, now: float) -> float:
        """Until when `tick` has nothing to do while it goes on iterating: whatever begins after `now` is due later than that."""
        terms, since = self.terms, self._gathering.waiting_since()
        if terms.patience is not None or self.seats.deserted is not None or self.seats.troubled:
            return now
        return min((now if since is None else since) + terms.lag_after, now + terms.drop_after, now + terms.room_ttl)

    def next_deadline(self) -> float | None:
        """When patience runs out for the next generation, and `tick` seals it; None while it does not."""
        if self.terms.patience is None or (self.state is not ITERATING and self.state is not LAGGING):
            return None
        first = self._gathering.first_came()
        if first is None or self._resumed == inf or self._gathering.complete():
            return None
        return max(first, self._resumed) + self.terms.patience

    def _lose_patience(self, effects: list[Effect], now: float) -> None:
        """Seal what has waited for too long, without those whose packets are missing."""
        while (deadline := self.next_deadline()) is not None and now >= deadline:
            if self.state is LAGGING:
                self._enter(ITERATING, (), effects, now)
            if not self._turns.seal(effects, now):
                self._settle(effects, now)
        self.seats.in_time(self.generation)

    # An engine's own pauses.

    def hold(self, now: float) -> None:
        """No master is made from now on, packets of the window are taken, and neither lag nor divergence is looked for."""
        self.seats.lagging((), now)
        self.state, self._lagging = HELD, ()

    def release(self, now: float) -> Effects:
        """It goes on where `hold` stopped it: what differs and what can be mastered is looked at at once, who lags after lag_after."""
        if self.state is not HELD:
            return NOTHING
        self.state = ITERATING
        self._resume(now)
        return self._settle([], now)
