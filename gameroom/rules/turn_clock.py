"""How long players of a turn game may think (docs/protocol/controller.md, "Turn clocks").

Pure values; `now` is in seconds. A hand runs while it is its player's turn and the player is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Self

import attrs

from gameroom.rules.room import RoomOptions
from gameroom.rules.turn_games import Body


@attrs.frozen(kw_only=True)
class Hand:
    """One player's time, in seconds."""

    left: float | None = None
    """For all turns from this one on; None where that is not limited."""
    used: float = 0.0
    """Of this turn, before `since`."""
    since: float | None = None
    """When it began to run; None while it does not."""

    def spent(self, now: float) -> float:
        """For how long its player has thought about this turn."""
        return self.used + (max(0.0, now - self.since) if self.since is not None else 0.0)


@attrs.frozen(kw_only=True)
class TurnClock:
    """The hands of all players of one game."""

    move: float | None = None
    total: float | None = None
    increment: float = 0.0
    hands: Mapping[int, Hand] = attrs.field(factory=dict)

    @classmethod
    def of(cls, options: RoomOptions, players: Iterable[int]) -> Self | None:
        """The clock of a new game; None where the room has none."""
        if options.move_seconds is None and options.total_seconds is None:
            return None
        hands = {player: Hand(left=options.total_seconds) for player in players}
        return cls(move=options.move_seconds, total=options.total_seconds, increment=options.increment_seconds, hands=hands)

    def begun(self, players: Iterable[int], now: float, there: Iterable[int]) -> Self:
        """It is the turn of these from now on; the hands of those who are there run."""
        running = set(there)
        return self._with({player: Hand(left=self.hands[player].left, since=now if player in running else None) for player in players})

    def made(self, players: Iterable[int], now: float) -> Self:
        """These have made their turn."""
        return self._with({player: Hand(left=self._left_after(player, now)) for player in players})

    def resumed(self, player: int, now: float) -> Self:
        """A player whose turn it is has come."""
        hand = self.hands[player]
        return self if hand.since is not None else self._with({player: attrs.evolve(hand, since=now)})

    def paused(self, player: int, now: float) -> Self:
        """A player is away, for whom everybody waits."""
        hand = self.hands[player]
        return self if hand.since is None else self._with({player: attrs.evolve(hand, used=hand.spent(now), since=None)})

    def run_out(self, now: float) -> list[int]:
        """Whose time is over."""
        return [player for player, hand in self.hands.items() if hand.since is not None and self._remaining(hand, now) <= 0]

    def runs_out_at(self) -> float:
        """When the next player's time will be over; infinity while no hand runs."""
        return min((hand.since + self._remaining(hand, hand.since) for hand in self.hands.values() if hand.since is not None), default=inf)

    def event(self, players: Iterable[int], now: float) -> Body:
        """The event `clock`: what these have left, and whose hand runs."""
        return {"event": "clock", "players": [self._shown(player, self.hands[player], now) for player in players]}

    def to_json(self) -> dict[str, Any]:
        return {str(player): {"left": hand.left, "used": hand.used} for player, hand in self.hands.items()}

    def restored(self, kept: Mapping[str, Any]) -> Self:
        """What `to_json` gave; no hand runs, because everybody is away. Raises KeyError, TypeError or ValueError for what is none."""
        return self._with({int(player): Hand(left=hand["left"], used=float(hand["used"])) for player, hand in kept.items()})

    def _with(self, changed: Mapping[int, Hand]) -> Self:
        return attrs.evolve(self, hands={**self.hands, **changed})

    def _left_after(self, player: int, now: float) -> float | None:
        hand = self.hands[player]
        return None if hand.left is None else max(0.0, hand.left - hand.spent(now)) + self.increment

    def _remaining(self, hand: Hand, now: float) -> float:
        """Until its player has run out of time."""
        spent = hand.spent(now)
        limits = [limit - spent for limit in (self.move, hand.left) if limit is not None]
        return min(limits)

    def _shown(self, player: int, hand: Hand, now: float) -> Body:
        spent = hand.spent(now)
        shown: Body = {"player": player, "running": hand.since is not None}
        if self.move is not None:
            shown["move_seconds"] = round(max(0.0, self.move - spent), 1)
        if hand.left is not None:
            shown["total_seconds"] = round(max(0.0, hand.left - spent), 1)
        return shown
