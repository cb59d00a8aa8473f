"""The states of the seed, as tables, against what controllers are really told."""

from __future__ import annotations

from typing import Any

from gameroom.rules.room import SETUP
from gameroom.rules.turn_states import CONNECTING, CONTROLLER, GAME, MY_TURN, OVER, SEATED, THEIR_TURN, WAITING, WATCHING
from tests.referees.controller_world import Controller, ControllerCase


class StatesTests(ControllerCase):
    """Two controllers and one that comes too late, each followed through its table."""

    def setUp(self) -> None:
        super().setUp()
        self.states = {each.user_id: CONNECTING for each in self.all}
        self.room_state = WAITING

    def step(self, controller: Controller, event: str) -> None:
        before = self.states[controller.user_id]
        self.assertIn((before, event), CONTROLLER)
        self.states[controller.user_id] = CONTROLLER[before, event]

    def follow(self, *controllers: Controller) -> None:
        for each in controllers:
            for name in each.events():
                if name in ("game_start", "request_move", "game_over"):
                    self.step(each, name)

    def do(self, controller: Controller, what: str, event: str) -> Any:
        answer = controller.do(what)
        self.step(controller, event)
        return answer

    def room_does(self, event: str) -> None:
        self.room_state = GAME[self.room_state, event]
        self.assertEqual(self.room_state == WAITING, self.room.value.phase == SETUP)

    def test_games(self) -> None:
        """Joining, a game that is won, a rematch that one leaves, and the seat taken anew: no step that is not in the tables."""
        self.do(self.ada, "join", "player")
        self.room_does("join")
        self.do(self.bob, "join", "player")
        self.room_does("all are ready")
        self.do(self.vic, "join", "full")
        self.follow(self.ada, self.bob)
        self.assertEqual([self.states[each.user_id] for each in self.all], [MY_TURN, THEIR_TURN, WATCHING])
        for turn in range(7):
            player = (self.ada, self.bob)[turn % 2]
            self.drop(player, turn % 2)
            self.step(player, "dropped")
            self.follow(self.ada, self.bob)
            self.room_does("move" if turn < 6 else "won")
        self.assertEqual([self.states[each.user_id] for each in self.all], [OVER, OVER, WATCHING])
        self.do(self.ada, "ready", "ready")
        self.do(self.bob, "ready", "ready")
        self.follow(self.ada, self.bob)
        self.room_does("all are ready")
        self.assertEqual([self.states[each.user_id] for each in self.all], [THEIR_TURN, MY_TURN, WATCHING])
        self.do(self.bob, "leave", "left")
        self.follow(self.ada)
        self.room_does("left")
        self.do(self.vic, "join", "player")
        self.assertEqual([self.states[each.user_id] for each in self.all], [OVER, WATCHING, SEATED])
