"""A room in its engine's own states: durable before they are told, with nobody ready behind them."""

from __future__ import annotations

from gameroom.errors import BadState
from gameroom.room import LivingRoom
from gameroom.rules.room import PLAYING, SETUP
from tests.rooms import NotingConnection
from tests.rules.descriptions import TABLE
from tests.test_registry import ANNA, BERT, RegistryTestCase


class StatesOfSetupTests(RegistryTestCase):
    def two(self) -> tuple[LivingRoom, NotingConnection]:
        """A room in which Anna and Bert choose their teams."""
        room = self.room(ANNA, states=TABLE)
        self.join(room, BERT)
        anna, _ = self.connect(room, "Anna"), self.connect(room, "Bert")
        anna.take()
        return room, anna

    def test_entered(self) -> None:
        """Everyone is told, nobody is ready any more, `GET /join` shows it, and a restart finds it."""
        room, anna = self.two()
        self.assertEqual(room.join_view()["state"], "setup.teams")
        self.ready(room, "Anna")
        anna.take()
        self.successResultOf(room.refereed.enter("setup.map"))
        state, players = anna.take()
        self.assertEqual(state, {"type": "state", "state": "setup.map"})
        self.assertEqual([player["ready"] for player in players["players"]], [False, False])
        self.assertEqual((room.join_view()["state"], room.refereed.setup_state), ("setup.map", "setup.map"))
        self.assertEqual(self.restarted().join_view()["state"], "setup.map")

    def test_seated(self) -> None:
        """Those who vote are the players, by seat."""
        room, _ = self.two()
        self.assertEqual(room.refereed.seated, ["Anna", "Bert"])

    def test_a_play_begins_and_ends_it(self) -> None:
        """A play begins where running does; afterwards setup is where it begins, and in between there is no state of it."""
        room, anna = self.two()
        self.successResultOf(room.refereed.enter("setup.map"))
        self.ready(room, "Anna", "Bert")
        self.assertEqual((room.value.phase, room.join_view()["state"]), (PLAYING, "running.iterating"))
        self.assertRaises(BadState, room.refereed.enter, "setup.map")
        anna.take()
        room.refereed.over("finished")
        self.assertIn({"type": "state", "state": "setup.teams", "reason": "finished"}, anna.take())
        self.assertEqual((room.value.phase, room.join_view()["state"]), (SETUP, "setup.teams"))

    def test_a_start_that_came_to_nothing(self) -> None:
        """What was set up stays as it was."""
        room, anna = self.two()
        self.successResultOf(room.refereed.enter("setup.map"))
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        anna.take()
        self.successResultOf(self.registry.leave(room.room_id, "Bert"))
        self.assertIn({"type": "state", "state": "setup.map", "reason": "start_failed"}, anna.take())

    def test_a_referee_has_the_time_in_setup(self) -> None:
        """It is told the time, but not while something is being saved."""
        room, _ = self.two()
        seen: list[float] = []
        self.patch(room.referee, "tick", seen.append)
        room.tick(1.0)
        self.assertEqual(seen, [1.0])
