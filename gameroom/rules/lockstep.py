"""The rules of a lock-step play: gather, order, compare, set the pace (docs/protocol/lockstep.md).

Sans I/O: times are arguments (seconds), and what is to be done is given back as effects, in order.
What happens to a play is here; what goes on in it by itself is `gameroom.rules.course`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from gameroom.errors import BadState, Forbidden
from gameroom.rules.course import ABANDONED, DIVERGED, FINISHED, HELD, ITERATING, LAGGING, Course
from gameroom.rules.lockstep_values import NOTHING, Effect, Effects, Over, Repeat, Resend
from gameroom.rules.pace import SHORTEST_TURN
from gameroom.rules.seats import DROPPED, EVICTED, GONE, LEFT, PLAYS, RETURNING
from gameroom.rules.turns import AGAIN, EARLY, GAP, LAST, OUTSIDE, UNCOUNTED
from gameroom.wire.lockstep import Checksum, CommandPacket

__all__ = ["ABANDONED", "DIVERGED", "FINISHED", "GIVEN_UP", "HELD", "ITERATING", "LAGGING", "REPEATED", "Play"]

REPEATED: Final = 1000
"""So many of the newest masters are sent again to who asks by a repeat."""
GIVEN_UP: Final = "diverged"
"""Why a play is over that its host gave up after a divergence."""
_NOTHING: Final = NOTHING
"""What most packets bring about: as a constant of this module it is found without a look-up by name."""
PUT_OUT: Final = "you are no longer a player of this play: your state had diverged, and you were put out"


class Play(Course):
    """One play. Players are named by their seats."""

    # The hot path.

    def receive(self, seat: int, packet: CommandPacket, now: float) -> Effects:
        """A player's packet; as `take`."""
        generation, latency, framerate, about, checksum, commands, _ = packet
        return self.take(seat, generation, latency, framerate, about, checksum, commands, now)

    def take(  # noqa: PLR0917 - each packet comes by here, and makes no object
        self, seat: int, generation: int, latency: float, framerate: float, about: int, checksum: Checksum, commands: bytes, now: float
    ) -> Effects:
        """What a player says for a generation: `commands` as a master has them, `about` the generation of the hash, -1 where there is none.

        Raises `BadState` for a generation that cannot be, `InvalidRequest` for a hash that cannot be, `Forbidden` for one who was put out.
        """
        came = self._turns.take(seat, generation, latency, framerate, about, checksum, commands, now)
        if self.state is ITERATING and self._hashes.differing is None:
            if came is EARLY or came is AGAIN:
                return _NOTHING
            if came is LAST:
                effects: list[Effect] = []
                return effects if self._turns.make(effects, now) else self._settle(effects, now)
        if came is OUTSIDE:
            return self._outside(seat, generation, latency, commands, now)
        if came is UNCOUNTED:
            return self._caught_up(seat, generation, commands, now)
        missing = self._gathering.gap(seat, generation) if came is GAP else ()
        return self._settle([Resend(seat, earlier) for earlier in missing], now)

    # Packets out of the ordinary.

    def _outside(self, seat: int, generation: int, latency: float, commands: bytes, now: float) -> Effects:
        self._still_here(seat)
        next_one, delay = self.generation, self.terms.input_delay
        if generation >= next_one + delay:
            raise BadState(f"generation {generation} is too far ahead: the next master is {next_one}, packets are taken up to {next_one + delay - 1}")
        if generation < next_one - REPEATED:
            raise BadState(f"generation {generation} is over long ago; say hello with your last_generation to get what you have missed")
        repeat = Repeat(seat, generation)
        if self.seats.status[seat] is DROPPED and next_one - generation <= max(1.0, latency / SHORTEST_TURN):
            # It has caught up: no packet of its own can come sooner while the others' turns are shorter than its way to us and back.
            # Who wait for no clock have shorter turns than are told, and always beat one who is as far from us as they are.
            self._turns.come_back(seat, generation, commands, now)
            return self._settle([repeat], now)
        return (repeat,)

    def _still_here(self, seat: int) -> None:
        if self.seats.status[seat] is EVICTED:
            raise Forbidden(PUT_OUT)

    def _caught_up(self, seat: int, generation: int, commands: bytes, now: float) -> Effects:
        """A dropped player's packet inside the window: the next master takes it back, and its packets count after that."""
        self._still_here(seat)
        if self.seats.status[seat] is LEFT:
            raise BadState("you have left this play")
        self._turns.come_back(seat, generation, commands, now)
        return self._settle([], now)

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
        if self.seats.status[seat] in GONE:
            return NOTHING
        self._turns.take_out(seat, "left", LEFT, now)
        if self.seats.gone():
            return (Over(ABANDONED),)
        return self._go_on((), [], now)

    def propose_drop(self, by: int, seat: int, now: float) -> Effects:
        """A player proposes to go on without another; see `Seats.propose` for what is refused."""
        self._still_here(by)
        if self.state is DIVERGED:
            raise BadState("the play has diverged; the host must resolve that first")
        self.seats.in_time(self.generation)
        self.seats.propose(by, seat, self._lagging if self.state is LAGGING else ())
        return self._go_on((), [], now)

    def finish(self, seat: int, generation: int, results: Any, now: float) -> Effects:
        """A player says that the game has ended, and how. Raises `BadState` for a generation that is not mastered yet."""
        self._still_here(seat)
        if self.state is DIVERGED:
            raise BadState("the play has diverged; that must be resolved first")
        if generation >= self.generation:
            raise BadState(f"generation {generation} is not mastered yet; the next master is {self.generation}")
        self._results.say(seat, generation, results)
        return self._ended([]) or NOTHING

    # A divergence, and states that are asked of players.

    def resolve(self, how: str, host_seat: int | None, now: float) -> Effects:
        """The host says what to do about a divergence: `abort`, `evict` or `resync`.

        Raises `BadState` where nothing has diverged or it cannot be done, `InvalidRequest` for anything else to do.
        """
        if self.state is not DIVERGED:
            raise BadState("the play has not diverged; there is nothing to resolve")
        if how == "abort":
            return (Over(GIVEN_UP),)
        self._dispute.resolve(how, host_seat, now)
        return self._settle([], now)

    def snapshot_given(self, seat: int, generation: int, checksum: Any, now: float) -> Effects:
        """A player's answer to `AskSnapshot`: its newest generation, and the hash of its state; None for one that cannot give it.

        An answer that nobody needs any more is taken no notice of.
        """
        self._dispute.given(seat, generation, checksum)
        return self._settle([], now) if self.state is DIVERGED else NOTHING

    def vouched(self, generation: int, checksum: Any) -> bool | None:
        """Whether that is the agreed hash of that generation; None while it is not agreed yet, False when it will never be known."""
        hashes = self._hashes
        value = hashes.agreed_on(generation)
        if value is not None:
            return self._turns.is_hash(value, checksum)
        if generation % hashes.interval or generation >= self.generation:
            return False
        # A packet of the window reports no generation that is longer ago than the input delay.
        return None if hashes.is_open(generation) or generation >= self.generation - self.terms.input_delay else False

    def snapshot_source(self, without: Collection[int] = ()) -> int | None:
        """A player that is there, plays, and agrees with the others, to be asked for its state; None where there is none."""
        hashes = self._hashes
        fit = [seat for seat in self.seats.having(PLAYS) if seat not in without and not self.seats.in_trouble(seat) and seat not in hashes.silent]
        if hashes.differing is not None:
            fit = [seat for seat in fit if seat in self._dispute.right()]
        agreed = hashes.agreed
        known = [seat for seat in fit if agreed is not None and hashes.has_reported(seat, agreed)]
        return next(iter(known or fit), None)
