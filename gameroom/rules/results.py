"""How the players say that their game has ended (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson


class Results:
    """What each player says of the end; its last word counts. Players are named by their seats."""

    def __init__(self, *, all_needed: bool) -> None:
        """`all_needed` is False where a strict majority is enough."""
        self._all_needed = all_needed
        self._said: dict[int, tuple[int, bytes, Any]] = {}

    def say(self, seat: int, generation: int, results: Any) -> None:
        """After which generation the game had ended, and how. The order of names in the results is nothing."""
        self._said[seat] = (generation, orjson.dumps(results, option=orjson.OPT_SORT_KEYS), results)

    def settled(self, playing: Sequence[int]) -> tuple[Any] | None:
        """The results, if enough of those who play say the same."""
        said = Counter(self._said[seat][:2] for seat in playing if seat in self._said)
        for same, count in said.most_common(1):
            if count == len(playing) or (not self._all_needed and 2 * count > len(playing)):
                return (next(self._said[seat][2] for seat in playing if seat in self._said and self._said[seat][:2] == same),)
        return None
