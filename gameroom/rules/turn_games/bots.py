"""The computer players that there are, by the name of their game."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from gameroom.errors import InvalidRequest
from gameroom.rules.turn_games import DROP, LEFT, RIGHT, ITurnGame, connect_four_bot, loners_bot

View = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Bot:
    """How a computer plays one game. All that it is given is what a player sees, and JSON."""

    levels: int
    """There are the levels 1 to this; the higher, the harder to beat."""
    think: Callable[[View, int, int, float], Iterator[int]]
    """Takes the player's `view`, the player, the level and luck (from 0 up to 1).

    Gives places to drop at, the later the better; the last is the answer. May take a second.
    """
    quick: Callable[[View, int, float], int]
    """Takes the view, the player and luck, and gives a place at once: for when thinking has failed."""


BOTS: Final[Mapping[str, Bot]] = {
    "connect-four": Bot(levels=len(connect_four_bot.DEPTHS), think=connect_four_bot.think, quick=connect_four_bot.quick),
    "loners": Bot(levels=loners_bot.LEVELS, think=loners_bot.think, quick=loners_bot.quick),
}


def bot_of(game: str, level: Any) -> Bot:
    """The computer player of that game, which must have that level. Raises `InvalidRequest`."""
    if game not in BOTS:
        raise InvalidRequest("no computer player knows this game")
    if type(level) is not int or not 1 <= level <= BOTS[game].levels:
        raise InvalidRequest(f"level must be an integer from 1 to {BOTS[game].levels}", pointer="/level")
    return BOTS[game]


def presses(game: ITurnGame, player: int, place: int) -> list[str]:
    """The buttons that bring the player's cursor to that place and drop there."""
    cursor: int = game.view(player)["cursor"]
    return [LEFT if place < cursor else RIGHT] * abs(place - cursor) + [DROP]
