"""The snapshots of a lock-step play: who is asked for one, and which are good (docs/protocol/lockstep.md, coming late).

No engine runs here, so a state is whatever a player says; it is used only where its hash is the one that the players agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import attrs
from twisted.logger import Logger

from gameroom.errors import BadState, InvalidRequest
from gameroom.referees.lockstep_shelf import Shelf
from gameroom.rules.lockstep import ITERATING, Play
from gameroom.wire.lockstep import Checksum
from gameroom.wire.room_messages import Outgoing

ANOTHER_AFTER: Final = 0.4
"""Seconds until another player is asked as well; in all twice that is waited for."""
ASKED: Final = 2
"""So many players are asked."""
AGAIN_AFTER: Final = 10.0
"""Seconds after asking in vain during which nobody is asked again."""
LATE: Final = 30.0
"""Seconds for which an answer is still taken: somebody else may come."""

Done = Callable[[], None]


@attrs.frozen
class Candidate:
    """A player's state whose hash is not agreed yet."""

    seat: int
    generation: int
    checksum: Checksum
    state: Outgoing
    until: float
    """It is forgotten then."""


class Snapshots:
    """Asks players of one play for snapshots; the good ones go to its shelf.

    `ask(seat, generation)` sends a request, `now` gives seconds,
    and `watch()` is called when there are candidates: `look` is to be called after each master then.
    """

    _log = Logger()

    def __init__(self, *, play: Play, shelf: Shelf, ask: Callable[[int, int], None], now: Callable[[], float], watch: Callable[[], None]) -> None:
        self._play = play
        self._shelf = shelf
        self._ask = ask
        self._now = now
        self._watch = watch
        self._waiting: list[Done] = []
        self._without: set[int] = set()
        self._tried: set[int] = set()
        self._asked_at = self._gave_up = float("-inf")
        self._asked: dict[int, tuple[int, float]] = {}
        """By seat: the generation, and until when its answer is taken."""
        self.candidates: list[Candidate] = []

    # Asking.

    def wait_for(self, done: Done, without: Collection[int] = ()) -> None:
        """Ask for a fresh one, of nobody in the seats `without`; `done` is called when there is one, or after a second at the latest."""
        self._without |= set(without)
        self._waiting.append(done)
        if len(self._waiting) == 1:
            self._tried = set()
            self._ask_another()

    def _ask_another(self) -> None:
        now = self._now()
        seat = None
        if len(self._tried) < ASKED and now - self._gave_up >= AGAIN_AFTER:
            seat = self._play.snapshot_source(self._without | self._tried)
        if seat is None:
            self._gave_up = now if self._tried else self._gave_up
            self._finish()
            return
        self._tried.add(seat)
        self._asked_at = now
        generation = self._hashed()
        self._asked[seat] = generation, now + LATE
        self._ask(seat, generation)

    def _hashed(self) -> int:
        """The generation to ask for: one whose hash everybody reports.

        A player answers with the state that it has then. Where not all are hashed that must be one to come, if any comes.
        """
        coming, interval = self._play.generation, self._play.terms.checksum_interval
        stands_still = self._play.state != ITERATING or not self._without.isdisjoint(self._play.awaited())
        if coming and (interval == 1 or (stands_still and (coming - 1) % interval == 0)):
            return coming - 1
        return -(-coming // interval) * interval

    def _finish(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._without = set()
        for done in waiting:
            done()

    # Answers.

    def asked(self, seat: int) -> bool:
        """Whether a player was asked and has not answered."""
        return seat in self._asked

    def fits(self, seat: int, generation: int) -> bool:
        """Whether a state of that generation is what a player was asked for."""
        return seat in self._asked and self._asked[seat][0] <= generation < self._play.generation

    def given(self, seat: int, generation: int, checksum: Checksum | None, state: Outgoing | None) -> None:
        """A player's answer; None where it has no state to give.

        Raises `BadState` where it was not asked, `InvalidRequest` for another generation.
        """
        wanted, _ = self._asked.get(seat, (None, 0.0))
        if wanted is None:
            raise BadState("nobody has asked you for a snapshot, or you were too late")
        if state is not None and not self.fits(seat, generation):
            raise InvalidRequest(f"a snapshot was asked for of generation {wanted}, or of a later one that you have had the master of")
        del self._asked[seat]
        if state is None or checksum is None:
            self._refused(seat)
            return
        self.candidates.append(Candidate(seat, generation, checksum, state, self._now() + LATE))
        self.look()
        if self.candidates:
            self._watch()

    def look(self) -> None:
        """Are the candidates good? Called while there are any, whenever that can have changed."""
        candidates, self.candidates = self.candidates, []
        for candidate in candidates:
            good = self._play.vouched(candidate.generation, candidate.checksum)
            if good:
                self._shelf.keep(candidate.generation, candidate.state)
                self._finish()
            elif good is None and self._now() < candidate.until:
                self.candidates.append(candidate)
            else:
                self._log.info("a snapshot of seat {seat} is not used: its hash is not the agreed one", seat=candidate.seat)
                self._refused(candidate.seat)

    def _refused(self, seat: int) -> None:
        if self._waiting and seat in self._tried:
            self._ask_another()

    @property
    def waits(self) -> bool:
        """Whether `tick` is to be called."""
        return bool(self._waiting or self.candidates or self._asked)

    def tick(self, now: float) -> None:
        """Look at the time."""
        if self._waiting and now - self._asked_at >= ANOTHER_AFTER:
            self._ask_another()
        if self.candidates:
            self.look()
        if self._asked:
            self._asked = {seat: asked for seat, asked in self._asked.items() if now < asked[1]}
        self._shelf.forget(now)

    def end(self) -> None:
        """The play is over: nobody waits any longer."""
        self._shelf.end()
        self.candidates, self._asked = [], {}
        self._finish()
