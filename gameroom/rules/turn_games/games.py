"""The turn games that there are, by the name that `[controller] game` of a game.toml says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gameroom.errors import InvalidRequest
from gameroom.rules.turn_games import ITurnGame
from gameroom.rules.turn_games.connect_four import ConnectFour
from gameroom.rules.turn_games.loners import Loners

GAMES: Final[Mapping[str, type[ITurnGame]]] = {"connect-four": ConnectFour, "loners": Loners}


def turn_game(name: str) -> type[ITurnGame]:
    """The game of that name. Raises `InvalidRequest`."""
    if name not in GAMES:
        raise InvalidRequest(f"there is no turn game {name}; there are {', '.join(sorted(GAMES))}")
    return GAMES[name]
