"""Lines for a developer's log of what may happen a thousand times a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

EACH: Final = 1.0
"""Seconds in which the same line is said once."""
MOST: Final = 10
"""Different lines in so long."""


class FewLines:
    """Says each line once in `EACH` seconds, and `MOST` of them at most. What is left out is not said later."""

    def __init__(self, told: Callable[[str], None], now: Callable[[], float]) -> None:
        self._told, self._now = told, now
        self._since = 0.0
        self._said: set[str] = set()
        """Since then."""

    def __call__(self, line: str) -> None:
        now = self._now()
        if not 0 <= now - self._since < EACH:
            self._since = now
            self._said.clear()
        if line not in self._said and len(self._said) < MOST:
            self._said.add(line)
            self._told(line)
