"""Whose piece of a file is next, of all to whom files are sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

PIECE = 64 * 1024
"""Bytes of a file that count as one piece: what Twisted's transports take before they pause their producer."""

AT_ONCE = 4
"""Pieces that are sent in a round, whoever they are for."""


class Turns:
    """Whose piece is next, of all to whom files are sent.

    However many download at the same time, those who play wait for a few pieces only, and not for one of each.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()
        self._called = False

    def ask(self, send: Callable[[], None], cost: int) -> None:
        """Call `send` when it is its turn, which is later; `cost` is how many pieces it counts for."""
        self._waiting.append((send, cost))
        self._see_to_it()

    def _see_to_it(self) -> None:
        if self._waiting and not self._called:
            self._called = True
            self._clock.callLater(0, self._round)

    def _round(self) -> None:
        # Who asks again in its turn has the next one behind all the others.
        left = AT_ONCE
        try:
            while self._waiting and left > 0:
                send, cost = self._waiting.popleft()
                left -= cost
                send()
        finally:
            self._called = False
            self._see_to_it()
