"""A table with a turn game."""

from __future__ import annotations

from typing import Any

import orjson
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.room import RoomOptions
from gameroom.rules.turn_clock import TurnClock
from gameroom.rules.turn_games.connect_four import ConnectFour
from gameroom.rules.turn_games.loners import Loners
from gameroom.rules.turn_table import Seated, TurnTable

OPTIONS = RoomOptions(total_seconds=60.0)


def seats(*players: int, bot: int | None = None) -> tuple[Seated, ...]:
    return tuple(Seated(player=player, user_id=f"u{player}", name=f"Name {player}", bot=bot if player == players[-1] else None) for player in players)


class TurnTableTests(SynchronousTestCase):
    def test_who_begins(self) -> None:
        """The first player begins at first, then the next one, also when seats were changed meanwhile."""
        for before, first in ((None, 1), (1, 2), (2, 1)):
            self.assertEqual(TurnTable.lay(ConnectFour, "p", seats(1, 2), before).first, first)
        self.assertEqual([TurnTable.lay(Loners, "p", seats(2, 5, 7), before).first for before in (None, 1, 2, 3, 5, 6, 7)], [2, 2, 5, 5, 7, 7, 2])

    def test_kept(self) -> None:
        """It is kept as JSON, with its time and its computers."""
        table = TurnTable.lay(ConnectFour, "p", seats(1, 2, bot=3), 1)
        clock = TurnClock.of(OPTIONS, [1, 2])
        for laid in (table, TurnTable(play_id="p", first=2, seats=table.seats, game=table.game, clock=clock)):
            options = OPTIONS if laid.clock is not None else RoomOptions()
            kept = orjson.loads(orjson.dumps(laid.to_json()))
            self.assertEqual(TurnTable.from_json(ConnectFour, options, kept), laid)

    def test_garbage(self) -> None:
        """What was kept and is damaged is refused, whatever of it."""
        kept = TurnTable.lay(ConnectFour, "p", seats(1, 2), None).to_json()
        wrong: list[Any] = [{}, [], None, *({**kept, name: 5} for name in ("seats", "game")), {**kept, "seats": [{"player": 1}]}]
        wrong += [{name: value for name, value in kept.items() if name != left} for left in ("play_id", "first", "seats", "game")]
        for each in wrong:
            with self.assertRaises(InvalidRequest, msg=repr(each)):
                TurnTable.from_json(ConnectFour, OPTIONS, each)

    def test_told(self) -> None:
        """A player is told of its own colour and of the other one, a viewer of both."""
        table = TurnTable.lay(ConnectFour, "p", seats(1, 2), None)
        self.assertEqual(table.game_start("u2"), {"event": "game_start", "color": "yellow", "opponent": "Name 1"})
        self.assertEqual([each["color"] for each in table.game_start("somebody")["players"]], ["red", "yellow"])
        self.assertEqual((table.player_of("u1"), table.player_of("u3"), table.user_of(2)), (1, None, "u2"))
