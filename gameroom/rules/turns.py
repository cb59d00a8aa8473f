"""The turns of a lock-step play: from the packets of those who count, masters (docs/protocol/lockstep.md).

It knows nothing of time-outs and of the states of a play; `gameroom.rules.lockstep` says when masters may be made.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Any, Final

from gameroom.rules.gathering import Gathering
from gameroom.rules.hashes import MISSING, Hashes
from gameroom.rules.lockstep_values import Effect, Evict, Past, Terms, Warn
from gameroom.rules.master import Master
from gameroom.rules.pace import Pace
from gameroom.rules.seats import DROPPED, PLAYS, RETURNING, Seats, Status
from gameroom.wire.lockstep import Checksum, Packets


class Came(Enum):
    """What became of a packet."""

    EARLY = "others are waited for"
    LAST = "it was the last that the next master waited for"
    GAP = "it was taken, and packets of the same player before it are missing"
    AGAIN = "there was one already"
    OUTSIDE = "its generation is not in the window"
    UNCOUNTED = "its player does not count"


EARLY: Final = Came.EARLY
LAST: Final = Came.LAST
GAP: Final = Came.GAP
AGAIN: Final = Came.AGAIN
OUTSIDE: Final = Came.OUTSIDE
UNCOUNTED: Final = Came.UNCOUNTED


class Turns:
    """The packets, hashes and pace of one play, and what its next master tells."""

    __slots__ = ("_checksum", "_pace", "_packets", "_seats", "_system", "counts", "gathering", "hashes")

    def __init__(self, *, terms: Terms, packets: Packets, seats: Seats, past: Past, now: float) -> None:
        self._packets = packets
        self._seats = seats
        self._system: list[dict[str, Any]] = []
        self._checksum = b"" if past.checksum is None else packets.checksum(*past.checksum)
        size, delay = max(seats.status) + 1, terms.input_delay
        self.counts = [seats.status.get(seat) is PLAYS for seat in range(size)]
        """By seat: who is waited for."""
        self.gathering = Gathering(delay=delay, seats=size, counting=seats.having(PLAYS), generation=past.generation, now=now)
        self._pace = Pace(delay, size, past.iterations)
        owing = [seat for seat in seats.connected if self.counts[seat]]
        self.hashes = Hashes(interval=terms.checksum_interval, input_delay=delay, owing=owing, generation=past.generation, past=past.checksum)

    def take(  # noqa: PLR0917 - each packet comes by here, and makes no object
        self, seat: int, generation: int, latency: float, framerate: float, about: int, checksum: Checksum, commands: bytes, now: float
    ) -> Came:
        """A player's packet. Gives what became of it; raises `InvalidRequest` for a hash that cannot be."""
        gathering, hashes = self.gathering, self.hashes
        ahead = generation - gathering.generation
        if not 0 <= ahead < gathering.delay:
            return OUTSIDE
        if not self.counts[seat]:
            return UNCOUNTED
        if about >= gathering.generation or (about >= 0 and about % hashes.interval):
            hashes.check(about, gathering.generation)
        gap = gathering.put(seat, generation, commands, now)
        if gap is None:
            came = AGAIN
        else:
            self._pace.report(seat, latency, framerate)
            came = GAP if gap else EARLY if ahead or not gathering.complete() else LAST
        # Of one that is here already too: who comes back says once more what was forgotten when it went.
        if about >= 0 and hashes.report(seat, about, checksum):
            self._checksum = self._packets.checksum(about, checksum)
        return came

    def make(self, effects: list[Effect], now: float) -> bool:
        """Make every master that can be made. False when hashes forbid any more."""
        gathering, hashes = self.gathering, self.hashes
        while gathering.complete() and hashes.differing is None:
            if not gathering.needed and not self._seats.having(RETURNING):
                break
            generation = gathering.generation
            commands, waited = gathering.close(now)
            data = self._packets.master(generation, self._pace.next(), self._checksum, commands, self._system)
            effects.append(Master(generation, data, waited))
            if self._system:
                effects += [Evict(event["evicted"]) for event in self._system if "evicted" in event]
                self._system = []
                self._take_back(now)
            if hashes.suspicious:
                effects += [Warn(seat, MISSING) for seat in hashes.overdue(gathering.newest)]
        return hashes.differing is None

    def seal(self, effects: list[Effect], now: float) -> bool:
        """Make the next master without those whose packets are missing, then every one that can be made. As `make`."""
        gathering = self.gathering
        missing = gathering.awaited()
        if missing and self.hashes.differing is None:
            self._system.append({"missed": missing})
            self._seats.missed(missing, gathering.generation, now)
            newer = [self.hashes.miss(seat, gathering.generation + 1) for seat in missing]
            self._agreed_now(any(newer))
            gathering.forgo()
        return self.make(effects, now)

    def divergence(self) -> dict[str, Any]:
        """What is told of a divergence."""
        return self.hashes.divergence(self._packets.shown)

    def is_hash(self, value: Checksum, said: Any) -> bool:
        """Whether that is what is said, in a packet or in a JSON message."""
        return bool(said in (value, self._packets.shown(value)))

    # Who counts.

    def spare(self, seat: int) -> None:
        """A player is away: neither its pace nor its hashes are waited for."""
        self._pace.leave_out(seat)
        self._agreed_now(self.hashes.excuse(seat))

    def restore(self, seats: Collection[int], right: Collection[int]) -> None:
        """These have the state after the newest master from one who is right."""
        self._agreed_now(self.hashes.restore(seats, self.gathering.generation - 1, right))

    def _agreed_now(self, newer: bool) -> None:
        if newer:
            self._checksum = self._packets.checksum(*self.hashes.newest_agreed())

    def take_out(self, seat: int, event: str, status: Status, now: float) -> None:
        """A player no longer counts, as the next master tells; what it has sent for that and later ones is forgotten."""
        if self._seats.status[seat] is RETURNING:
            self.stay_out(seat, now)
        self._system.append({event: seat})
        self.counts[seat] = False
        self.spare(seat)
        self.gathering.count(seat, False, now)
        self._seats.become(seat, status, now)

    def come_back(self, seat: int, generation: int, commands: bytes, now: float) -> None:
        """A dropped player's packet: the next master takes it back, and its packets count after that."""
        if self._seats.status[seat] is DROPPED:
            self._seats.become(seat, RETURNING, now)
            self._system.append({"rejoined": seat})
        if generation > self.gathering.generation:
            self.gathering.put_ahead(seat, generation, commands)

    def stay_out(self, seat: int, now: float) -> None:
        """One who was coming back is not any more."""
        self._seats.become(seat, DROPPED, now)
        self._system.remove({"rejoined": seat})
        self.gathering.count(seat, False, now)

    def _take_back(self, now: float) -> None:
        for seat in self._seats.having(RETURNING):
            self._seats.become(seat, PLAYS, now)
            self.counts[seat] = True
            self.gathering.count(seat, True, now)
            self.hashes.owe(seat, self.gathering.generation)
