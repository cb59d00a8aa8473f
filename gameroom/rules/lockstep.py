"""The rules of a lock-step play: gather, order, compare, set the pace (docs/protocol/lockstep.md).

Sans I/O: times are arguments (seconds), and what is to be done is given back as effects, in order.
The states are those below `running`; in those below `running.paused` no master is made:

    iterating ── a packet is missing for lag_after, another's is there ──> paused.lagging ── all have come ──> iterating
    iterating ── two hashes differ, or too many are left out ──> paused.diverged ── the host ends the play
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import orjson

from gameroom.errors import BadState
from gameroom.rules.lockstep_values import NOTHING, Divergence, Effect, Effects, Over, Past, Repeat, Resend, StateChange, Terms
from gameroom.rules.seats import DROPPED, LEFT, PLAYS, RETURNING, Seats
from gameroom.rules.turns import Turns
from gameroom.wire.lockstep import CommandPacket, Packets

ITERATING: Final = "running.iterating"
LAGGING: Final = "running.paused.lagging"
DIVERGED: Final = "running.paused.diverged"
REPEATED: Final = 1000
"""So many of the newest masters are sent again to who asks by a repeat."""
FINISHED, ABANDONED = "finished", "abandoned"
"""Reasons for which a play is over; after a divergence it is `diverged`."""


class Play:
    """One play. Players are named by their seats."""

    def __init__(
        self, *, terms: Terms, packets: Packets, seats: Collection[int], connected: Collection[int], now: float, past: Past | None = None
    ) -> None:
        self.terms = terms
        self.state = ITERATING if past is None else LAGGING
        past = past or Past()
        self.seats = Seats(seats, connected, now)
        self.seats.remember(past.events, now)
        self._turns = Turns(terms=terms, packets=packets, seats=self.seats, past=past, now=now)
        self._gathering, self._hashes = self._turns.gathering, self._turns.hashes
        self._results: dict[int, tuple[int, bytes, Any]] = {}
        self._lagging = tuple(self.awaited())
        self._stopped = now
        self._asked = now
        self._told = False

    @property
    def generation(self) -> int:
        """The next to be mastered."""
        return self._gathering.generation

    def awaited(self) -> list[int]:
        """The seats whose packets the next master waits for."""
        return self._gathering.awaited()

    # The hot path.

    def receive(self, seat: int, packet: CommandPacket, now: float) -> Effects:
        """A player's packet. Raises `BadState` for a generation that cannot be, `InvalidRequest` for a hash that cannot be."""
        gathering, turns = self._gathering, self._turns
        if not 0 <= packet.generation - gathering.generation < gathering.delay:
            return self._outside(seat, packet.generation)
        if not turns.counts[seat]:
            return self._caught_up(seat, packet, now)
        gap = turns.take(seat, packet, now)
        if gap is None:
            return NOTHING
        if not gap and self._hashes.differing is None and self.state is ITERATING:
            if not gathering.complete():
                return NOTHING
            effects: list[Effect] = []
            return effects if turns.make(effects, now) else self._settle(effects, now)
        missing = gathering.gap(seat, packet.generation) if gap else ()
        return self._settle([Resend(seat, earlier) for earlier in missing], now)

    # Packets out of the ordinary.

    def _outside(self, seat: int, generation: int) -> Effects:
        next_one, delay = self.generation, self.terms.input_delay
        if generation >= next_one + delay:
            raise BadState(f"generation {generation} is too far ahead: the next master is {next_one}, packets are taken up to {next_one + delay - 1}")
        if generation < next_one - REPEATED:
            raise BadState(f"generation {generation} is over long ago; say hello with your last_generation to get what you have missed")
        return (Repeat(seat, generation),)

    def _caught_up(self, seat: int, packet: CommandPacket, now: float) -> Effects:
        """A dropped player's packet inside the window: the next master takes it back, and its packets count after that."""
        if self.seats.status[seat] is LEFT:
            raise BadState("you have left this play")
        self._turns.come_back(seat, packet, now)
        return self._settle([], now)

    # States.

    def _settle(self, effects: list[Effect], now: float) -> Effects:
        """After something out of the ordinary: what state it is now, and what can be mastered."""
        if self.state is LAGGING:
            lagging = tuple(self.awaited())
            self.seats.lagging(lagging, now)
            if lagging:
                if lagging != self._lagging:
                    self._enter(LAGGING, lagging, effects, now)
                return effects
            self._enter(ITERATING, (), effects, now)
        if self.state is ITERATING and not self._turns.make(effects, now):
            self._enter(DIVERGED, (), effects, now)
        if self.state is DIVERGED and not self._told and self._hashes.reported():
            self._tell_divergence(effects)
        return effects

    def _enter(self, state: str, seats: tuple[int, ...], effects: list[Effect], now: float) -> None:
        if state != self.state:
            self._stopped = self._asked = now
        self.state, self._lagging = state, seats
        effects.append(StateChange(state, seats))

    def _tell_divergence(self, effects: list[Effect]) -> None:
        self._told = True
        effects.append(Divergence(self._turns.divergence()))

    def tick(self, now: float) -> Effects:
        """Look at the deadlines."""
        terms, effects = self.terms, list[Effect]()
        if self.seats.deserted is not None and now - self.seats.deserted >= terms.room_ttl:
            return (Over(ABANDONED),)
        if self.state is DIVERGED:
            if not self._told and now - self._stopped >= terms.lag_after:
                self._tell_divergence(effects)
            return effects
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

    # Who takes part.

    def connected(self, seat: int, now: float) -> Effects:
        """A player has a connection again."""
        self.seats.connect(seat, self.state is LAGGING and seat in self._lagging)
        if self._turns.counts[seat]:
            self._hashes.owe(seat, self.generation)
        return NOTHING

    def disconnected(self, seat: int, now: float) -> Effects:
        """A player's last connection is gone."""
        self.seats.disconnect(seat, now)
        if self.seats.status[seat] is RETURNING:
            self._turns.stay_out(seat, now)
        self._turns.spare(seat)
        return self._go_on((), [], now)

    def left(self, seat: int, now: float) -> Effects:
        """A player is gone for good."""
        if self.seats.status[seat] is LEFT:
            return NOTHING
        self._turns.take_out(seat, "left", LEFT, now)
        if len(self.seats.having(LEFT)) == len(self.seats.status):
            return (Over(ABANDONED),)
        return self._go_on((), [], now)

    def _go_on(self, dropping: Sequence[int], effects: list[Effect], now: float) -> Effects:
        """The play carries on without these and those whom all others want to drop, as the next master will say."""
        while dropping := dropping or ([] if self.state is DIVERGED else self.seats.carried()):
            for seat in dropping:
                self._turns.take_out(seat, "dropped", DROPPED, now)
            dropping = ()
        return self._ended(effects) or self._settle(effects, now)

    def propose_drop(self, by: int, seat: int, now: float) -> Effects:
        """A player proposes to go on without another; see `Seats.propose` for what is refused."""
        if self.state is DIVERGED:
            raise BadState("the play has diverged; the host must resolve that first")
        self.seats.propose(by, seat, self._lagging if self.state is LAGGING else ())
        return self._go_on((), [], now)

    # How it ends.

    def finish(self, seat: int, generation: int, results: Any, now: float) -> Effects:
        """A player says that the game has ended, and how. Raises `BadState` for a generation that is not mastered yet."""
        if self.state is DIVERGED:
            raise BadState("the play has diverged; the host must resolve that first")
        if generation >= self.generation:
            raise BadState(f"generation {generation} is not mastered yet; the next master is {self.generation}")
        self._results[seat] = (generation, orjson.dumps(results, option=orjson.OPT_SORT_KEYS), results)
        return self._ended([]) or NOTHING

    def _ended(self, effects: list[Effect]) -> Effects | None:
        playing = self.seats.having(PLAYS)
        said = {self._results[seat][:2] if seat in self._results else None for seat in playing}
        if self.state is DIVERGED or len(said) != 1 or None in said:
            return None
        return [*effects, Over(FINISHED, self._results[playing[0]][2])]
