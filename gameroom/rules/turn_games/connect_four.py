"""Connect Four: seven columns, six rows, four in a row in any direction (docs/protocol/controller.md, "Connect Four")."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import attrs

from gameroom.errors import BadState, InvalidRequest
from gameroom.rules.turn_games import (
    DRAW,
    DROP,
    GONE,
    LAST_COLUMN,
    MIDDLE,
    TIME,
    WON,
    Body,
    Moved,
    Over,
    check_plays,
    check_turn,
    is_whole,
    is_word,
    shifted,
)

COLUMNS: Final = 7
ROWS: Final = 6
_DIRECTIONS: Final = ((1, 0), (0, 1), (1, 1), (1, -1))


@attrs.frozen(kw_only=True)
class ConnectFour:
    """One game of it. Player 1 is red, player 2 yellow."""

    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 2
    colors: ClassVar[tuple[str, ...]] = ("red", "yellow")
    players: ClassVar[tuple[int, ...]] = (1, 2)

    first: int = 1
    """Who began."""
    columns: tuple[str, ...] = ("",) * COLUMNS
    """A string of `1` and `2` for each, bottom first."""
    cursors: tuple[int, int] = (MIDDLE, MIDDLE)
    last: tuple[int, int, int] | None = None
    """The newest disc: player, column, row."""
    out: tuple[int, str] | None = None
    """Who is out of it, and for what reason."""

    @classmethod
    def new(cls, players: Sequence[int], first: int) -> Self:
        return cls(first=first)

    # How far it has come.

    @cached_property
    def turn(self) -> int:
        return sum(map(len, self.columns)) + 1

    @property
    def to_move(self) -> tuple[int, ...]:
        return () if self.over else (self._next,)

    @property
    def _next(self) -> int:
        return self.first if self.turn % 2 else 3 - self.first

    @cached_property
    def over(self) -> Over | None:
        if self.out is not None:
            # Who leaves has not lost, but who lets the clock run out has.
            return Over(reason=self.out[1], winner=3 - self.out[0] if self.out[1] == TIME else None)
        if self.last is not None and (line := self._line()):
            return Over(reason=WON, winner=self.last[0], more={"line": line})
        return Over(reason=DRAW) if self.turn > COLUMNS * ROWS else None

    def _line(self) -> list[list[int]] | None:
        """Four in a row through the newest disc."""
        assert self.last is not None
        player, column, row = self.last
        for dx, dy in _DIRECTIONS:
            for start in range(-3, 1):
                cells = [[column + dx * step, row + dy * step] for step in range(start, start + 4)]
                if all(self._disc(*cell) == str(player) for cell in cells):
                    return cells
        return None

    def _disc(self, column: int, row: int) -> str:
        return self.columns[column][row : row + 1] if 0 <= column < COLUMNS and row >= 0 else ""

    # What players do.

    def move(self, player: int, do: str) -> Moved:
        check_turn(self, player, do)
        cursor = self.cursors[player - 1]
        if do == DROP:
            return self._drop(player, cursor)
        place = shifted(cursor, do)
        cursors = (place, self.cursors[1]) if player == 1 else (self.cursors[0], place)
        event = {"event": "cursor", "player": player, "cursor": place} if place != cursor else None
        return self._moved(attrs.evolve(self, cursors=cursors), player, event)

    def _drop(self, player: int, column: int) -> Moved:
        row = len(self.columns[column])
        if row == ROWS:
            raise BadState(f"column {column + 1} is full; move the cursor to another")
        columns = (*self.columns[:column], self.columns[column] + str(player), *self.columns[column + 1 :])
        game = attrs.evolve(self, columns=columns, last=(player, column, row))
        return self._moved(game, player, game.board(), game.to_move)

    def _moved(self, game: Self, player: int, event: Body | None, asked: tuple[int, ...] = ()) -> Moved:
        answer = {"event": "move_received", "cursor": game.cursors[player - 1], "board": list(game.columns)}
        return Moved(game=game, answer=answer, event=event, asked=asked)

    def forfeit(self, player: int, reason: str) -> Moved:
        check_plays(self, player)
        return Moved(game=attrs.evolve(self, out=(player, reason)))

    # What is seen.

    def board(self) -> Body:
        last = dict(zip(("player", "column", "row"), self.last, strict=True)) if self.last else None
        return {"event": "board", "board": list(self.columns), "last": last}

    def view(self, player: int | None) -> Body:
        cursor = self.cursors[(player or self._next) - 1]
        return {"board": list(self.columns), "cursor": cursor, "turn": self.turn, "to_move": next(iter(self.to_move), None)}

    # How it is kept.

    def to_json(self) -> Body:
        return {
            "first": self.first,
            "columns": list(self.columns),
            "cursors": list(self.cursors),
            "last": list(self.last) if self.last else None,
            "out": list(self.out) if self.out else None,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        try:
            last, out = value["last"], value["out"]
            red, yellow = value["cursors"]
            game = cls(
                first=value["first"],
                columns=tuple(value["columns"]),
                cursors=(red, yellow),
                last=tuple(last) if last is not None else None,
                out=tuple(out) if out is not None else None,
            )
            sound = game._sound() and game.to_json() == value
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise InvalidRequest("this is no game of Connect Four")
        return game

    def _sound(self) -> bool:
        """Whether this can have been reached; what was read may hold anything."""
        counts = [sum(column.count(str(player)) for column in self.columns) for player in (self.first, 3 - self.first)]
        return (
            is_whole(self.first, 1, 2)
            and len(self.columns) == COLUMNS
            and all(is_word(column, "12") and len(column) <= ROWS for column in self.columns)
            and counts[0] - counts[1] in (0, 1)
            and all(is_whole(cursor, 0, LAST_COLUMN) for cursor in self.cursors)
            and self._last_sound()
            and self._out_sound()
        )

    def _last_sound(self) -> bool:
        if self.last is None:
            return self.turn == 1
        player, column, row = self.last
        return (
            is_whole(player, 3 - self._next, 3 - self._next)
            and is_whole(column, 0, LAST_COLUMN)
            and is_whole(row, len(self.columns[column]) - 1, ROWS - 1)
            and self._disc(column, row) == str(player)
        )

    def _out_sound(self) -> bool:
        if self.out is None:
            return True
        player, reason = self.out
        return is_whole(player, 1, 2) and reason in (GONE, TIME)
