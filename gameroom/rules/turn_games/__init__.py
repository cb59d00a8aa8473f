"""What a turn game is to the room that it is played in (docs/protocol/controller.md, "Turn games").

A game is one frozen value: who plays, how far it has come, whose turn it is. Each move gives the next one.
It knows nothing of connections, names, ids or clocks; `games.GAMES` finds one by its name, and one more is one more file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, Self, TypeAlias

import attrs

from gameroom.errors import BadState, InvalidRequest

LEFT, RIGHT, DROP = BUTTONS = ("left", "right", "drop")
"""All that a controller can press."""

WON, DRAW = "won", "draw"
"""Reasons for which the rules end a game."""
GONE, TIME = "left", "time"
"""Reasons for which a player is out of a game: gone for good, or the clock has run out."""

Body: TypeAlias = dict[str, Any]
"""A JSON object, as it stands in the `body` of a `game` message."""


@attrs.frozen(kw_only=True)
class Over:
    """How a game has ended."""

    reason: str
    """`won`, `draw`, `left` or `time`."""
    winner: int | None = None
    """The player; None where nobody has won, or several have."""
    more: Mapping[str, Any] = attrs.field(factory=dict)
    """What else is told of it, as the `line`."""

    @property
    def event(self) -> Body:
        """`game_over`, which everybody gets."""
        return {"event": "game_over", "reason": self.reason, "winner": self.winner, **self.more}


@attrs.frozen(kw_only=True)
class Moved:
    """What a move did."""

    game: ITurnGame
    """As it is now."""
    answer: Body = attrs.field(factory=dict)
    """For the one who moved: `move_received`. Empty where nobody did, as in `forfeit`."""
    event: Body | None = None
    """For all others, viewers included: it holds nothing that anybody may not see. None where there is nothing to tell."""
    asked: tuple[int, ...] = ()
    """Whose turn has begun with this: each of them gets a `request_move`."""


class ITurnGame(Protocol):
    """A game that is played with the three buttons of a controller, by one player after the other or by all at once.

    Players are numbers, seat + 1. All that is given to the outside is JSON.
    """

    fewest: ClassVar[int]
    """So many players at least."""
    most: ClassVar[int]
    """And so many at most."""
    colors: ClassVar[tuple[str, ...]]
    """Of player 1, player 2 and so on."""

    @classmethod
    def new(cls, players: Sequence[int], first: int) -> Self:
        """A game of these players, by rising number; `first` of them begins (where one does)."""

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave. Raises `InvalidRequest` for anything else."""

    def to_json(self) -> Body:
        """All of it, secrets as well, to be kept."""

    @property
    def players(self) -> tuple[int, ...]:
        """Who plays, by rising number; without those who are out."""

    @property
    def to_move(self) -> tuple[int, ...]:
        """Whose turn it is, by rising number: more than one where they choose at the same time; nobody when it is over."""

    @property
    def turn(self) -> int:
        """The number of the turn, from 1; it grows with each."""

    @property
    def over(self) -> Over | None:
        """How it has ended; None while it goes on."""

    def move(self, player: int, do: str) -> Moved:
        """The player presses `left`, `right` or `drop`.

        Raises `InvalidRequest` for another button, `BadState` when it is not the player's turn or this cannot be done now; it is still its turn then.
        """

    def forfeit(self, player: int, reason: str) -> Moved:
        """The player is out, because it has `left` or run out of `time`: the game is over, or goes on without it.

        Raises `BadState` for somebody who does not play, and after the end.
        """

    def board(self) -> Body:
        """The event `board` as everybody may see it now."""

    def view(self, player: int | None) -> Body:
        """What the player may know, or a viewer for None: `board`, `cursor`, `turn`, `to_move` and what the game adds.

        A viewer's `cursor` is that of the player whose turn it is; None where there is none to be shown.
        """


def request_move(game: ITurnGame, player: int) -> Body:
    """The event that tells a player that it is its turn."""
    seen = game.view(player)
    return {"event": "request_move", "board": seen["board"], "cursor": seen["cursor"], "turn": seen["turn"]}


def check_turn(game: ITurnGame, player: int, do: str) -> None:
    """May the player press this now? Raises as `ITurnGame.move` says."""
    if do not in BUTTONS:
        raise InvalidRequest("the buttons are left, right and drop", pointer="/body/do")
    if game.over is not None:
        raise BadState("this game is over; say ready for the next one")
    if player not in game.to_move:
        raise BadState("it is not your turn; wait for request_move")


def check_plays(game: ITurnGame, player: int) -> None:
    """Does the player take part? Raises `BadState`."""
    if game.over is not None:
        raise BadState("this game is over")
    if player not in game.players:
        raise BadState(f"player {player} does not play here")


MIDDLE: Final = 3
LAST_COLUMN: Final = 6
"""Both games have a cursor with seven places, 0 to 6, that starts at the middle and stops at the edges."""


def shifted(cursor: int, do: str) -> int:
    """Where a cursor is after `left` or `right`."""
    return max(0, cursor - 1) if do == LEFT else min(LAST_COLUMN, cursor + 1)


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether something that was read is an integer in this range; true and false are none."""
    return type(value) is int and least <= value <= most


def is_word(value: object, letters: str) -> bool:
    """Whether something that was read is a string of these letters alone."""
    return isinstance(value, str) and not value.strip(letters)
