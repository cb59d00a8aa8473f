"""A table at which a turn game is played: who sits there, how far the game has come, who began.

Pure values. Players are numbers, seat + 1; members are user_ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Self

import attrs

from gameroom.errors import InvalidRequest
from gameroom.rules.room import RoomOptions
from gameroom.rules.turn_clock import TurnClock
from gameroom.rules.turn_games import Body, ITurnGame


@attrs.frozen(kw_only=True)
class Seated:
    """A player of the game."""

    player: int
    user_id: str
    name: str
    bot: int | None = None
    """The level of the computer that plays here; None for a person."""


@attrs.frozen(kw_only=True)
class TurnTable:
    """One game, with who plays it."""

    play_id: str
    first: int
    """The player who began."""
    seats: tuple[Seated, ...]
    """By rising number; those who are out of the game too."""
    game: ITurnGame
    clock: TurnClock | None = None
    """None where players may think for as long as they like."""

    @classmethod
    def lay(cls, kind: type[ITurnGame], play_id: str, seats: tuple[Seated, ...], first_before: int | None) -> Self:
        """A new game at these seats. Whoever follows the one who began the game before begins; the first player does at first."""
        numbers = [seated.player for seated in seats]
        first = next((number for number in numbers if first_before is not None and number > first_before), numbers[0])
        return cls(play_id=play_id, first=first, seats=seats, game=kind.new(numbers, first))

    def after(self, game: ITurnGame, now: float, there: Collection[str]) -> Self:
        """The game is this one now; `there` are the members whose time runs while it is their turn."""
        before, clock = self.game, self.clock
        if clock is not None:
            anew = game.turn != before.turn
            ended = [player for player in before.to_move if anew or player not in game.to_move]
            begun = [player for player in game.to_move if anew or player not in before.to_move]
            clock = clock.made(ended, now).begun(begun, now, self._timed(there))
        return attrs.evolve(self, game=game, clock=clock)

    def started(self, now: float, there: Collection[str]) -> Self:
        """The first turn begins."""
        if self.clock is None:
            return self
        return attrs.evolve(self, clock=self.clock.begun(self.game.to_move, now, self._timed(there)))

    def _timed(self, there: Collection[str]) -> list[int]:
        return [seated.player for seated in self.seats if seated.bot is None and seated.user_id in there]

    def taken_over(self, player: int, level: int, now: float) -> Self:
        """A computer plays on for one who has run out of time."""
        seats = tuple(attrs.evolve(seated, bot=level) if seated.player == player else seated for seated in self.seats)
        return attrs.evolve(self, seats=seats, clock=None if self.clock is None else self.clock.paused(player, now))

    def seat(self, player: int) -> Seated:
        return next(seated for seated in self.seats if seated.player == player)

    def player_of(self, user_id: str) -> int | None:
        """The number of a member who plays; None for anybody else."""
        return next((seated.player for seated in self.seats if seated.user_id == user_id), None)

    def user_of(self, player: int) -> str:
        return self.seat(player).user_id

    def color(self, player: int) -> str:
        return self.game.colors[player - 1]

    # How it is told.

    def game_start(self, user_id: str) -> Body:
        """The event `game_start`, for a player or a viewer."""
        player = self.player_of(user_id)
        if player is None:
            return {"event": "game_start", "players": self.about(), "to_move": self.game.view(None)["to_move"]}
        event = {"event": "game_start", "color": self.color(player), "opponent": self.opponent(player)}
        return event if len(self.seats) == 2 else {**event, "players": self.about()}

    def about(self) -> list[Body]:
        """Who plays, for everybody."""
        return [{"player": seated.player, "color": self.color(seated.player), "name": seated.name} for seated in self.seats]

    def opponent(self, player: int) -> str | None:
        """The name of the other one; None where there are several."""
        others = [seated.name for seated in self.seats if seated.player != player]
        return others[0] if len(others) == 1 else None

    def welcome(self, user_id: str) -> Body:
        """`welcome.game`."""
        player = self.player_of(user_id)
        if player is None:
            return {"player": None, "color": None, "opponent": None, **self.game.view(None), "players": self.about()}
        known = {"player": player, "color": self.color(player), "opponent": self.opponent(player), **self.game.view(player)}
        return known if len(self.seats) == 2 else {**known, "players": self.about()}

    def ended(self, user_id: str) -> Body | None:
        """`welcome.last_game`: how the game has ended, with what `welcome` says of it; None while it is not over."""
        over = self.game.over
        return None if over is None else {**self.welcome(user_id), "players": self.about(), "game_over": over.event}

    # How it is kept.

    def to_json(self) -> Body:
        return {
            "play_id": self.play_id,
            "first": self.first,
            "seats": [attrs.asdict(seated) for seated in self.seats],
            "game": self.game.to_json(),
            "clock": None if self.clock is None else self.clock.to_json(),
        }

    @classmethod
    def from_json(cls, kind: type[ITurnGame], options: RoomOptions, kept: Mapping[str, Any]) -> Self:
        """What `to_json` gave, in a room with these options. Raises `InvalidRequest` for anything else."""
        try:
            seats = tuple(Seated(**seated) for seated in kept["seats"])
            clock = TurnClock.of(options, [seated.player for seated in seats])
            if clock is not None and kept["clock"] is not None:
                clock = clock.restored(kept["clock"])
            return cls(play_id=kept["play_id"], first=kept["first"], seats=seats, game=kind.from_json(kept["game"]), clock=clock)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidRequest("this is no turn game of a room") from error
