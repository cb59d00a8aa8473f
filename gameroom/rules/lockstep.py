"""The rules of a lock-step play: gather, order, compare, set the pace (docs/protocol/lockstep.md).

Sans I/O: times are arguments (seconds), and what is to be done is given back as effects, in order.
The states are those below `running`; in those below `running.paused` no master is made:

    iterating ── a packet is missing for lag_after, another's is there ──> paused.lagging ── all have come ──> iterating
    iterating ── two hashes differ, or too many are left out ──> paused.diverged ── the host ends the play
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import attrs
import orjson

from gameroom.errors import BadState
from gameroom.rules.gathering import Gathering
from gameroom.rules.hashes import MISSING, Hashes
from gameroom.rules.pace import FIRST_ITERATIONS, Pace
from gameroom.rules.seats import DROPPED, LEFT, PLAYS, RETURNING, Seats
from gameroom.wire.lockstep import Checksum, CommandPacket, Packets

ITERATING: Final = "running.iterating"
LAGGING: Final = "running.paused.lagging"
DIVERGED: Final = "running.paused.diverged"
REPEATED: Final = 1000
"""So many of the newest masters are sent again to who asks by a repeat."""
FINISHED, ABANDONED = "finished", "abandoned"
"""Reasons for which a play is over; after a divergence it is `diverged`."""


class Master(NamedTuple):
    """Record it, then give it to everyone."""

    generation: int
    data: bytes
    waited: float
    """Seconds since the generation's first packet."""


class Repeat(NamedTuple):
    """Give that master to that player once more."""

    seat: int
    generation: int


class Resend(NamedTuple):
    """Ask that player for its packet of that generation."""

    seat: int
    generation: int


class StateChange(NamedTuple):
    """Tell everyone the state, and whom it is about."""

    state: str
    seats: tuple[int, ...] = ()


class Warn(NamedTuple):
    """Tell a player what its client does wrong (100)."""

    seat: int
    message: str


class Divergence(NamedTuple):
    """Record and tell everyone what diverged."""

    fields: dict[str, Any]


class Over(NamedTuple):
    """The play is over."""

    reason: str
    results: Any = None


Effect = Master | Repeat | Resend | StateChange | Warn | Divergence | Over
Effects = Sequence[Effect]
NOTHING: Effects = ()


@attrs.frozen(kw_only=True)
class Terms:
    """What a play is played by. Times are in seconds."""

    input_delay: int = 2
    checksum_interval: int = 1
    lag_after: float = 1.0
    drop_after: float = 60.0
    room_ttl: float = 120.0


@attrs.frozen(kw_only=True)
class Past:
    """What a recording says of a play that is taken up again."""

    generation: int = 0
    """The next to be mastered."""
    iterations: int = FIRST_ITERATIONS
    checksum: tuple[int, Checksum] | None = None
    """The newest agreed hash."""
    events: Sequence[Mapping[str, Any]] = ()
    """All `system` events, in order."""


class Play:
    """One play. Players are named by their seats."""

    def __init__(
        self, *, terms: Terms, packets: Packets, seats: Collection[int], connected: Collection[int], now: float, past: Past | None = None
    ) -> None:
        self.terms = terms
        self.state = ITERATING if past is None else LAGGING
        self._packets = packets
        self._system: list[dict[str, Any]] = []
        self._results: dict[int, tuple[int, bytes, Any]] = {}
        self._checksum = b""
        self._stopped = now
        self._asked = now
        self._told = False
        past = past or Past()
        self.seats = Seats(seats, connected, now)
        for event in past.events:
            self._remember(event, now)
        size = max(seats) + 1
        delay = terms.input_delay
        self._gathering = Gathering(delay=delay, seats=size, counting=self.seats.having(PLAYS), generation=past.generation, now=now)
        self._plays = [self.seats.status.get(seat) is PLAYS for seat in range(size)]
        self._pace = Pace(delay, size, past.iterations)
        owing = [seat for seat in connected if self._plays[seat]]
        self._hashes = Hashes(interval=terms.checksum_interval, input_delay=delay, seats=seats, owing=owing, generation=past.generation)
        if past.checksum is not None:
            self._hashes.agreed = past.checksum[0]
            self._checksum = packets.checksum(*past.checksum)
        self._lagging = tuple(self.awaited())

    def _remember(self, event: Mapping[str, Any], now: float) -> None:
        for name, status in (("dropped", DROPPED), ("rejoined", PLAYS), ("left", LEFT)):
            if event.get(name) in self.seats.status:
                self.seats.become(event[name], status, now)

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
        gathering, hashes = self._gathering, self._hashes
        generation, latency, framerate, about, checksum, commands, _ = packet
        next_one = gathering.generation
        if not next_one <= generation < next_one + gathering.delay:
            return self._outside(seat, generation)
        if not self._plays[seat]:
            return self._caught_up(seat, packet, now)
        if about >= next_one or (about >= 0 and about % hashes.interval):
            hashes.check(about, next_one)
        gap = gathering.put(seat, generation, self._packets.entry(seat, commands) if commands else b"", now)
        if gap is None:
            return NOTHING
        self._pace.report(seat, latency, framerate)
        if about >= 0 and hashes.report(seat, about, checksum):
            self._checksum = self._packets.checksum(about, checksum)
        if self.state is ITERATING and gap is False and hashes.differing is None:
            if not gathering.complete():
                return NOTHING
            effects: list[Effect] = []
            return effects if self._make_masters(effects, now) else self._settle(effects, now)
        missing = gathering.gap(seat, generation) if gap else ()
        return self._settle([Resend(seat, earlier) for earlier in missing], now)

    def _make_masters(self, effects: list[Effect], now: float) -> bool:
        """Make every master that can be made. False when hashes forbid any more."""
        gathering = self._gathering
        while gathering.complete() and self._hashes.differing is None:
            if not any(self._plays) and not self.seats.having(RETURNING):
                break
            generation = gathering.generation
            entries, waited = gathering.close(now)
            data = self._packets.master(generation, self._pace.next(), self._checksum, entries, self._system)
            effects.append(Master(generation, data, waited))
            if self._system:
                self._system = []
                self._take_back(now)
            if self._hashes.suspicious:
                effects += [Warn(seat, MISSING) for seat in self._hashes.overdue(gathering.newest)]
        return self._hashes.differing is None

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
        if self.seats.status[seat] is DROPPED:
            self.seats.become(seat, RETURNING, now)
            self._system.append({"rejoined": seat})
        if packet.generation > self.generation:
            self._gathering.put_ahead(seat, packet.generation, self._packets.entry(seat, packet.commands))
        return self._settle([], now)

    def _take_back(self, now: float) -> None:
        for seat in self.seats.having(RETURNING):
            self.seats.become(seat, PLAYS, now)
            self._plays[seat] = True
            self._gathering.count(seat, True, now)
            self._hashes.owe(seat, self.generation)

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
        if self.state is ITERATING and not self._make_masters(effects, now):
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
        effects.append(Divergence(self._hashes.divergence(self._packets.shown)))

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
        if self._plays[seat]:
            self._hashes.owe(seat, self.generation)
        return NOTHING

    def disconnected(self, seat: int, now: float) -> Effects:
        """A player's last connection is gone."""
        self.seats.disconnect(seat, now)
        if self.seats.status[seat] is RETURNING:
            self._forget_return(seat, now)
        self._spare(seat)
        return self._go_on((), [], now)

    def left(self, seat: int, now: float) -> Effects:
        """A player is gone for good."""
        if self.seats.status[seat] is LEFT:
            return NOTHING
        if self.seats.status[seat] is RETURNING:
            self._forget_return(seat, now)
        self._take_out(seat, now, "left")
        self.seats.become(seat, LEFT, now)
        if len(self.seats.having(LEFT)) == len(self.seats.status):
            return (Over(ABANDONED),)
        return self._go_on((), [], now)

    def _forget_return(self, seat: int, now: float) -> None:
        self.seats.become(seat, DROPPED, now)
        self._system.remove({"rejoined": seat})
        self._gathering.count(seat, False, now)

    def _spare(self, seat: int) -> None:
        """A player is away: neither its pace nor its hashes are waited for."""
        self._pace.leave_out(seat)
        if self._hashes.excuse(seat):
            self._checksum = self._packets.checksum(*self._hashes.newest_agreed())

    def _take_out(self, seat: int, now: float, event: str) -> None:
        self._system.append({event: seat})
        self._plays[seat] = False
        self._spare(seat)
        self._gathering.count(seat, False, now)

    def _go_on(self, dropping: Sequence[int], effects: list[Effect], now: float) -> Effects:
        """The play carries on without these and those whom all others want to drop, as the next master will say."""
        while dropping := dropping or ([] if self.state is DIVERGED else self.seats.carried()):
            for seat in dropping:
                self._take_out(seat, now, "dropped")
                self.seats.become(seat, DROPPED, now)
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
