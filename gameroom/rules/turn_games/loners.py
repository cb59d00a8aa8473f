"""Loners: everybody picks a number at the same time, and the lowest that nobody else has picked scores (docs/protocol/controller.md, "Loners").

Three to eight players pick from 1 to 7 with the cursor and lock it with drop.
The lowest number that only one has picked gives that one so many points as it is; the first with 15 wins.
After 30 rounds the highest score wins; several who have it share the first place, and nobody has won.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import attrs

from gameroom.errors import InvalidRequest
from gameroom.rules.turn_games import DRAW, DROP, GONE, LAST_COLUMN, MIDDLE, TIME, WON, Body, Moved, Over, check_plays, check_turn, is_whole, shifted

GOAL: Final = 15
ROUNDS: Final = 30
HIGHEST: Final = LAST_COLUMN + 1
"""The numbers are 1 to this; the cursor's place 0 is the number 1."""


@attrs.frozen(kw_only=True)
class Loner:
    """One player of it."""

    player: int
    cursor: int = MIDDLE
    pick: int | None = None
    """What it has locked in this round, which nobody else may know."""
    score: int = 0


@attrs.frozen(kw_only=True)
class Loners:
    """One game of it. Who is out is gone from it; the others play on while three are left."""

    fewest: ClassVar[int] = 3
    most: ClassVar[int] = 8
    colors: ClassVar[tuple[str, ...]] = ("red", "yellow", "green", "blue", "orange", "purple", "white", "black")

    loners: tuple[Loner, ...]
    turn: int = 1
    """The round."""
    last: tuple[tuple[int, int], ...] = ()
    """Who picked what in the round before, by player."""
    out: str | None = None
    """Why the newest of those who are gone is out."""

    @classmethod
    def new(cls, players: Sequence[int], first: int) -> Self:
        return cls(loners=tuple(Loner(player=player) for player in sorted(players)))

    # How far it has come.

    @property
    def players(self) -> tuple[int, ...]:
        return tuple(loner.player for loner in self.loners)

    @property
    def to_move(self) -> tuple[int, ...]:
        return () if self.over else tuple(loner.player for loner in self.loners if loner.pick is None)

    @property
    def over(self) -> Over | None:
        if max(loner.score for loner in self.loners) >= GOAL or self.turn > ROUNDS:
            return self._best(WON)
        if len(self.loners) < self.fewest:
            # Nobody has lost to those who leave, but to those whose clock has run out.
            return self._best(TIME) if self.out == TIME else self._over(self.out or GONE)
        return None

    def _best(self, reason: str) -> Over:
        """The highest score wins, if only one has it."""
        best = max(loner.score for loner in self.loners)
        winners = [loner.player for loner in self.loners if loner.score == best]
        return self._over(reason, winners[0]) if len(winners) == 1 else self._over(DRAW if reason == WON else reason, None, winners)

    def _over(self, reason: str, winner: int | None = None, shared: Sequence[int] = ()) -> Over:
        scores = [{"player": loner.player, "score": loner.score} for loner in self.loners]
        return Over(reason=reason, winner=winner, more={"scores": scores} | ({"shared": list(shared)} if shared else {}))

    # What players do.

    def move(self, player: int, do: str) -> Moved:
        check_turn(self, player, do)
        before = self._loner(player)
        after = attrs.evolve(before, pick=before.cursor + 1) if do == DROP else attrs.evolve(before, cursor=shifted(before.cursor, do))
        game = attrs.evolve(self, loners=tuple(after if loner is before else loner for loner in self.loners))._settled()
        answer = {"event": "move_received", "cursor": after.cursor, "board": game._board()}
        # Where a cursor stands is as secret as what is picked with it.
        return Moved(game=game, answer=answer, event=game.board() if do == DROP else None, asked=game._asked(self.turn))

    def forfeit(self, player: int, reason: str) -> Moved:
        check_plays(self, player)
        left = tuple(loner for loner in self.loners if loner.player != player)
        game = attrs.evolve(self, loners=left, out=reason)
        game = game if game.over else game._settled()
        return Moved(game=game, event=game.board(), asked=game._asked(self.turn))

    def _asked(self, turn: int) -> tuple[int, ...]:
        return self.to_move if self.turn != turn else ()

    def _settled(self) -> Self:
        """The next round, when everybody has picked."""
        picks = {loner.player: loner.pick for loner in self.loners if loner.pick is not None}
        if len(picks) < len(self.loners):
            return self
        lonely = lone(list(picks.values()))
        points = {player: pick for player, pick in picks.items() if pick == lonely}
        loners = tuple(attrs.evolve(loner, pick=None, score=loner.score + points.get(loner.player, 0)) for loner in self.loners)
        return attrs.evolve(self, loners=loners, turn=self.turn + 1, last=tuple(picks.items()))

    def _loner(self, player: int) -> Loner:
        return next(loner for loner in self.loners if loner.player == player)

    # What is seen.

    def board(self) -> Body:
        return {"event": "board", "board": self._board(), "last": self._last()}

    def _board(self) -> list[Body]:
        return [{"player": loner.player, "score": loner.score, "locked": loner.pick is not None} for loner in self.loners]

    def _last(self) -> Body | None:
        """What came of the round before."""
        if not self.last:
            return None
        lonely = lone([pick for _, pick in self.last])
        scorer = next((player for player, pick in self.last if pick == lonely), None)
        picks = [{"player": player, "pick": pick} for player, pick in self.last]
        return {"turn": self.turn - 1, "picks": picks, "scorer": scorer, "points": lonely or 0}

    def view(self, player: int | None) -> Body:
        own = self._loner(player) if player in self.players and player is not None else None
        return {
            "board": self._board(),
            "cursor": own.cursor if own else None,
            "turn": self.turn,
            "to_move": list(self.to_move),
            "pick": own.pick if own else None,
            "last": self._last(),
        }

    # How it is kept.

    def to_json(self) -> Body:
        loners = [list(attrs.astuple(loner)) for loner in self.loners]
        return {"loners": loners, "turn": self.turn, "last": [list(pick) for pick in self.last], "out": self.out}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        try:
            loners = tuple(Loner(player=player, cursor=cursor, pick=pick, score=score) for player, cursor, pick, score in value["loners"])
            last = tuple((player, pick) for player, pick in value["last"])
            game = cls(loners=loners, turn=value["turn"], last=last, out=value["out"])
            sound = game._sound() and game.to_json() == value
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise InvalidRequest("this is no game of Loners")
        return game

    def _sound(self) -> bool:
        """Whether this can have been reached; what was read may hold anything."""
        return (
            0 < len(self.loners) <= self.most
            and all(_is_sound(loner) for loner in self.loners)
            and list(self.players) == sorted(set(self.players))
            and (len(self.loners) < self.fewest or None in [loner.pick for loner in self.loners])
            and is_whole(self.turn, 1, ROUNDS + 1)
            and all(is_whole(player, 1, self.most) and is_whole(pick, 1, HIGHEST) for player, pick in self.last)
            and bool(self.last) == (self.turn > 1)
            and self.out in (None, GONE, TIME)
        )


def lone(picks: Sequence[int]) -> int | None:
    """The lowest number that is there once; None where each is there more often."""
    return min((pick for pick, times in Counter(picks).items() if times == 1), default=None)


def _is_sound(loner: Loner) -> bool:
    return (
        is_whole(loner.player, 1, Loners.most)
        and is_whole(loner.cursor, 0, LAST_COLUMN)
        and (loner.pick is None or is_whole(loner.pick, loner.cursor + 1, loner.cursor + 1))
        and is_whole(loner.score, 0, GOAL + HIGHEST)
    )
