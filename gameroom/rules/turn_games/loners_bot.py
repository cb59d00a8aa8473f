"""The computer player of Loners. It sees what a player sees, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from gameroom.rules.turn_games.loners import HIGHEST

WEIGHTS: Final[Mapping[int, tuple[int, ...]]] = {
    3: (0, 27, 20, 14, 11, 10, 19),
    4: (26, 28, 26, 13, 4, 2, 1),
    5: (19, 22, 19, 15, 10, 7, 8),
    6: (19, 22, 21, 18, 12, 6, 2),
    7: (17, 20, 20, 17, 12, 8, 5),
    8: (16, 19, 19, 17, 14, 9, 5),
}
"""By the number of players: how often to pick each number, so that nobody who knows this gains by it.

When all pick so, each number brings the same on the average (or less, where it is never picked).
"""
LEVELS: Final = 2


def think(view: Mapping[str, Any], player: int, level: int, luck: float) -> Iterator[int]:
    """Where to put the cursor: at level 1 anywhere, at level 2 by `WEIGHTS`. `luck` is from 0 up to 1."""
    weights = WEIGHTS.get(len(view["board"])) if level > 1 else None
    sums = list(accumulate(weights or [1] * HIGHEST))
    yield next(place for place, reached in enumerate(sums) if luck * sums[-1] < reached)


def quick(view: Mapping[str, Any], player: int, luck: float) -> int:
    """The same; it takes no time anyway."""
    return next(think(view, player, LEVELS, luck))
