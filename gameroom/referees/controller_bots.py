"""The computer players of one game: each is asked for its move when it is its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.rules.turn_games.bots import BOTS
from gameroom.rules.turn_table import TurnTable

if TYPE_CHECKING:
    from gameroom.thinking import Thinking


class Bots:
    """Asks `thinking` for moves of the game `name`; `drop(player, place)` is what comes of it."""

    _log = Logger()

    def __init__(self, thinking: Thinking, name: str, drop: Callable[[int, int], None]) -> None:
        self._thinking = thinking
        self._name = name
        self._drop = drop
        self._asked: dict[int, tuple[int, Deferred[int]]] = {}
        """By player: the turn that it thinks about, and what fires with its move."""

    def level(self, wanted: int) -> int:
        """This level, or the best that there is."""
        return min(wanted, BOTS[self._name].levels)

    def consider(self, table: TurnTable) -> None:
        """Let those think whose turn it is."""
        for seated in table.seats:
            if seated.bot is None or seated.player not in table.game.to_move:
                continue
            player, turn = seated.player, table.game.turn
            if self._asked.get(player, (0, None))[0] == turn:
                continue
            thought = self._thinking.choose(self._name, table.game.view(player), player=player, level=seated.bot)
            self._asked[player] = turn, thought
            thought.addCallback(self._thought, player, turn).addErrback(self._failed)

    def end(self) -> None:
        """The game is over: nobody thinks about it any more."""
        asked, self._asked = self._asked, {}
        for _, thought in asked.values():
            thought.cancel()

    def _thought(self, place: int, player: int, turn: int) -> None:
        if self._asked.pop(player, (0, None))[0] == turn:
            self._drop(player, place)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._log.failure("a computer player of {game} could not move", failure, game=self._name)
