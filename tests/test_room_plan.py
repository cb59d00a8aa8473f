"""From a wish for a room to what it will be."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.room_plan import plan_room
from gameroom.rules.room import RoomOptions
from gameroom.rules.room_options import RoomRequest
from tests.rooms import OneGame

LONERS = {"hosting": "controller", "lockstep": {"turn_game": "loners"}, "web": None, "engine": None, "min_players": 1, "max_players": 20}


class TurnGameTests(SynchronousTestCase):
    """Rooms of the server's own turn games."""

    def planning(self, **fields: Any) -> Deferred[tuple[RoomOptions, dict[str, Any]]]:
        catalogue: Any = OneGame()
        catalogue.the = attrs.evolve(catalogue.the, **LONERS)
        request = RoomRequest.from_json({"engine": {"game_id": "game"}, **fields})
        return Deferred.fromCoroutine(plan_room(request, catalogue, {"controller"}, bytes))

    def planned(self, **fields: Any) -> RoomOptions:
        return self.successResultOf(self.planning(**fields))[0]

    def test_which(self) -> None:
        """Pages are told which game it is; as many play as the game takes, whatever the bundle says."""
        options = self.planned()
        self.assertEqual(options.engine, {"game_id": "game", "version": "1.0.0", "controller": "loners"})
        self.assertEqual((options.min_players, options.max_players), (3, 8))

    def test_too_few(self) -> None:
        """A room cannot begin with fewer than the game takes."""
        self.assertEqual(self.planned(min_players=4).min_players, 4)
        for name in ("min_players", "max_players"):
            refused = self.failureResultOf(self.planning(**{name: 2}), InvalidRequest)
            self.assertIn("at least 3", str(refused.value))
