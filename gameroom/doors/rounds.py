"""How much of the reactor's time requests take, however many peers send them, before everybody else has theirs.

Theory. A peer may pipeline thousands of requests, and one person may have hundreds of connections: carried out as they come, they would make
each round of the reactor a second long, and nobody's game would keep its pace. So within `WINDOW` they take `BUDGET` at most, `SLICE` for each
peer. Who has more to do goes on in a later round, and who has had the least of all goes first: who sends little is served at once.

This is start-time fair queueing: each peer has a mark, which grows by the time that it takes, and is never behind the mark of who was served last.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final

from twisted.internet.interfaces import IReactorTime

BUDGET: Final = 0.008
WINDOW: Final = 0.016
SLICE: Final = 0.001
"""All in seconds."""


class Rounds:
    """What the connections of a door share. Time is what `clock` says."""

    def __init__(self, clock: IReactorTime) -> None:
        self.seconds: Callable[[], float] = clock.seconds
        self._clock = clock
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._mark = 0.0
        """Of who was served last of those that waited."""
        self._called = False
        self._since = self._spent = 0.0

    def until(self, now: float, mark: float) -> float:
        """Until when a peer's requests may be carried out; `now` or before where it has to ask for a `turn`."""
        if self._waiting and mark > self._mark:
            return now
        if not 0.0 <= now - self._since < WINDOW:
            self._since, self._spent = now, 0.0
        left = BUDGET - self._spent
        return now + min(SLICE, left)

    def spend(self, seconds: float, mark: float) -> float:
        """A peer's requests have taken so long; gives its new mark."""
        # The clock may be set, and then nobody is to pay for hours.
        if not 0.0 <= seconds <= WINDOW:
            seconds = 0.0 if seconds < 0.0 else WINDOW
        self._spent += seconds
        return max(self._mark, mark) + seconds

    def turn(self, go_on: Callable[[], None], mark: float) -> None:
        """Call `go_on` when it is its turn, which is later."""
        heappush(self._waiting, (mark, next(self._numbers), go_on))
        self._see_to_it()

    def _see_to_it(self) -> None:
        if self._waiting and not self._called:
            self._called = True
            self._clock.callLater(0, self._round)

    def _round(self) -> None:
        # Everything else has had its turn since the last round, so there is a new budget.
        self._since, self._spent = self.seconds(), 0.0
        try:
            for _ in range(len(self._waiting)):
                mark, _, go_on = heappop(self._waiting)
                self._mark = max(self._mark, mark)
                go_on()
                if self._spent >= BUDGET:
                    break
        finally:
            self._called = False
            self._see_to_it()
