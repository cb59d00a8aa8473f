"""A divergence, from its first sign until the play can go on (docs/protocol/lockstep.md, hashes).

    found ── all have reported it, or lag_after ──> told ── the policy or the host ──> evict ─────────────────────────> resolved
      │                                              │ ^                         └──> resync ── a good snapshot ──────────^
      │                                              │ └─ nobody can tell who is right ─┘                                 │
      └──── who differed goes, and the rest agree ───┴────────────────────────────────────────────────────────────────────┘

Who is right is looked at anew whenever something has changed: votes are of those who are there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gameroom.errors import BadState, InvalidRequest
from gameroom.rules.lockstep_values import AskSnapshot, Divergence, Effect, Restore, Terms
from gameroom.rules.resync import Resync
from gameroom.rules.seats import EVICTED
from gameroom.rules.tally import Verdict
from gameroom.rules.turns import Turns

HALT, EVICT, RESYNC = "halt", "evict", "resync"
"""What is done about a divergence: wait for the host, put out who is wrong, give them a good state."""


class Dispute:
    """What is done about the divergences of one play."""

    def __init__(self, *, terms: Terms, turns: Turns) -> None:
        self._terms = terms
        self._turns = turns
        self._since = 0.0
        self._about: int | None = None
        """The generation that was told to differ; None while nothing is."""
        self._how = terms.on_divergence
        self._host: int | None = None
        """Whose group is right if there is no majority, once the host has said what to do."""
        self._ordered = False
        """The host has said what to do."""
        self._resync: Resync | None = None
        self._given_once: set[int] = set()
        """Who was given a state because it did not report its hashes. It does not help to do so again."""

    def begin(self, now: float) -> None:
        """Something differs."""
        self._since, self._about = now, None
        self._leave_it()

    def _leave_it(self) -> None:
        self._how, self._host, self._ordered, self._resync = self._terms.on_divergence, None, False, None

    def look(self, effects: list[Effect], now: float) -> bool:
        """What can be told and done now. Whether all who are there agree, and the play can go on."""
        hashes = self._turns.hashes
        while hashes.differing is not None:
            if hashes.differing != self._about:
                if not hashes.reported() and now - self._since < self._terms.lag_after:
                    return False
                self._about = hashes.differing
                effects.append(Divergence(self._turns.divergence()))
            if not self._act(effects, now):
                return False
        self._leave_it()
        return True

    def _act(self, effects: list[Effect], now: float) -> bool:
        """Whether somebody was put out or given a good state."""
        if self._how == HALT:
            return False
        verdict = self._turns.hashes.verdict(self._host)
        if verdict is None:
            self._leave_it()
            return False
        if self._how == EVICT:
            return self._evict(verdict.wrong, now)
        hopeless = frozenset[int]() if self._ordered else verdict.wrong & self._turns.hashes.silent & self._given_once
        return self._evict(hopeless, now) or self._restore(verdict, effects, now)

    def _evict(self, seats: frozenset[int], now: float) -> bool:
        for seat in sorted(seats):
            self._turns.take_out(seat, "evicted", EVICTED, now)
        return bool(seats)

    # A good state.

    def _restore(self, verdict: Verdict, effects: list[Effect], now: float) -> bool:
        hashes, newest = self._turns.hashes, self._turns.gathering.generation - 1
        if self._resync is None:
            reported = newest % self._terms.checksum_interval == 0
            self._resync = Resync(newest, one_will_do=now + self._terms.lag_after if reported else now)
        is_right = self._is_right(newest, verdict)
        giver = self._resync.giver(verdict.right, is_right)
        if giver is None:
            # First those who are known to have come so far.
            right = sorted(verdict.right, key=lambda seat: (not hashes.has_reported(seat, newest), seat))
            effects += [AskSnapshot(seat, newest) for seat in self._resync.ask(right, is_right, now)]
            return False
        effects.append(Restore(tuple(sorted(verdict.wrong)), newest, giver))
        self._given_once |= verdict.wrong & hashes.silent
        self._turns.restore(verdict.wrong, verdict.right)
        self._resync = None
        return True

    def _is_right(self, generation: int, verdict: Verdict) -> Callable[[Any], bool] | None:
        value = self._turns.hashes.reported_by(generation, verdict.right)
        return None if value is None else partial(self._turns.is_hash, value)

    # What is said from outside.

    def given(self, seat: int, generation: int, checksum: Any) -> None:
        """A player's answer to `AskSnapshot`. One that comes when nobody needs it is nothing."""
        if self._resync is not None:
            self._resync.given(seat, generation, checksum)

    def resolve(self, how: str, host: int | None, now: float) -> None:
        """The host says what to do; `look` then does it. `host` is None where the host is none of the players.

        Raises `BadState` where it cannot be done now, `InvalidRequest` where there is no such thing to do.
        """
        if how not in (EVICT, RESYNC):
            raise InvalidRequest("how must be abort, evict or resync")
        if self._about is None or self._about != self._turns.hashes.differing:
            raise BadState("not all players have reported yet what differs; wait for the message divergence")
        verdict = self._turns.hashes.verdict(host)
        if verdict is None:
            raise BadState(f"nobody can tell whose state is right: there is no majority, and the host has reported none; {how} is not possible")
        if how == RESYNC and self._resync is not None and self._resync.waits(verdict.right, now):
            raise BadState("a player has been asked for its state already; wait for its answer")
        self._how, self._host, self._ordered, self._resync = how, host, True, None

    def right(self) -> frozenset[int]:
        """Who is right while something differs; nobody where that is not known."""
        verdict = self._turns.hashes.verdict(None) if self._turns.hashes.differing is not None else None
        return frozenset() if verdict is None else verdict.right
