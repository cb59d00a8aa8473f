"""What members of all service rooms have said and nothing has come of yet, so that it does not fill memory.

Theory. Each room's queue is bounded by itself (`rules/service_game.py`); with thousands of rooms of silent services that is no bound of memory.
So all queues together have one, and a game has no more of it than what is free behind that: one alone half, with another one a third each, and so on.
Nobody has to be driven out, and for a game whose service answers there is always room.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from twisted.internet.defer import Deferred

from gameroom.errors import RateLimited

MOST_BYTES: Final = 64 << 20
"""Of all rooms together."""
EACH: Final = 2 << 10
"""Bytes that a message costs however short it is."""


class Queues:
    """Of all rooms of a daemon."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._taken: dict[Hashable, int] = {}
        """In bytes, of games that have any."""
        self.bytes = 0

    def check(self, whose: Hashable, size: int) -> None:
        """Raises `RateLimited` where there is no room for a message of so many bytes to this game."""
        size += EACH
        if self._taken.get(whose, 0) + size > self._most - self.bytes - size:
            raise RateLimited("too much waits for games' services on this server already; send it again in a moment", retry_after=1)

    def enter(self, whose: Hashable, size: int, done: Deferred[Any]) -> None:
        """A message waits until `done` fires, or fails."""
        size += EACH
        self.bytes += size
        self._taken[whose] = self._taken.get(whose, 0) + size

        def left(result: Any) -> Any:
            self.bytes -= size
            rest = self._taken.pop(whose) - size
            if rest:
                self._taken[whose] = rest
            return result

        done.addBoth(left)
