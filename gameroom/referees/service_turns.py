"""Whose turn it is to ask, so that many rooms whose services do not answer do not fill memory with their states (docs/protocol/game-service.md)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import Deferred, succeed

MOST_BYTES: Final = 64 << 20
"""Of all updates that are on their way, together with what they were made from."""
MOST_OF_ONE: Final = 16 << 20
"""And of those of one service."""
EACH: Final = 512
"""Bytes that one costs however small its state is."""


@attrs.define(eq=False)
class Turn:
    """A room's turn, from before its state is read until what came of the update is stored."""

    whose: Hashable
    size: int
    _turns: Turns
    _over: bool = False

    def give_back(self) -> None:
        """The next may have it. Again is fine."""
        if not self._over:
            self._over = True
            self._turns.given_back(self)


class Turns:
    """Of all rooms of a daemon. Each service has its share, and one turn at least, so that one that is silent is in no other's way."""

    def __init__(self, most: int = MOST_BYTES, each: int = MOST_OF_ONE) -> None:
        """`most` bytes of all, `each` of one service."""
        self._most, self._each = most, each
        self._taken: dict[Hashable, int] = {}
        """In bytes, of services that have any."""
        self._waiting: dict[Hashable, deque[tuple[Deferred[Turn], int]]] = {}
        """Who waits, the first first; of services, the one whose turn was longest ago."""
        self._serving = False
        self.bytes = 0

    def take(self, whose: Hashable, size: int) -> Deferred[Turn]:
        """Fires when it is the turn of a room of this service, with what is to be given back; `size` is what it needs, in bytes.

        First come, first served among the rooms of a service. Cancelling gives it up.
        """
        size += EACH
        if whose not in self._waiting and self._is_free(whose, size):
            return succeed(self._given(whose, size))
        waiting: Deferred[Turn] = Deferred(partial(self._give_up, whose))
        self._waiting.setdefault(whose, deque()).append((waiting, size))
        return waiting

    def given_back(self, turn: Turn) -> None:
        """Said by the turn."""
        self.bytes -= turn.size
        left = self._taken[turn.whose] - turn.size
        if left:
            self._taken[turn.whose] = left
        else:
            del self._taken[turn.whose]
        self._serve()

    def _is_free(self, whose: Hashable, size: int) -> bool:
        taken = self._taken.get(whose)
        return taken is None or (taken + size <= self._each and self.bytes + size <= self._most)

    def _given(self, whose: Hashable, size: int) -> Turn:
        self.bytes += size
        self._taken[whose] = self._taken.get(whose, 0) + size
        return Turn(whose, size, self)

    def _give_up(self, whose: Hashable, given_up: Deferred[Turn]) -> None:
        self._keep(whose, deque(each for each in self._waiting.pop(whose) if each[0] is not given_up))
        # Who was behind it may need less.
        self._serve()

    def _keep(self, whose: Hashable, waiting: deque[tuple[Deferred[Turn], int]]) -> None:
        """Behind those of other services."""
        if waiting:
            self._waiting[whose] = waiting

    def _serve(self) -> None:
        # Who has got its turn may give it back at once: that is for the loop that runs, and not for one within it.
        if self._serving:
            return
        self._serving = True
        try:
            while (whose := self._next()) is not None:
                waiting = self._waiting.pop(whose)
                told, size = waiting.popleft()
                self._keep(whose, waiting)
                told.callback(self._given(whose, size))
        finally:
            self._serving = False

    def _next(self) -> Hashable | None:
        return next((whose for whose, waiting in self._waiting.items() if self._is_free(whose, waiting[0][1])), None)
