"""Checked commands: what does not match a room's schema is in no master."""

from __future__ import annotations

import json
from typing import ClassVar

from gameroom.errors import InvalidRequest
from tests.referees.lockstep_world import RefereeCase


class CheckedCommandsTests(RefereeCase):
    options: ClassVar = {"command_schema": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}

    def test_left_out(self) -> None:
        """The other commands of the packet count, and its sender alone is told, once."""
        self.begin()
        error = self.assertRaises(InvalidRequest, self.send, "ann", 0, [{"x": 1}, {"x": "2"}, 3, {"x": 4}])
        self.assertIn("command 1 was left out", error.message)
        self.send("bob", 0, [{"x": 5}])
        self.assertEqual(self.room.here["bob"][0].texts("master")[0]["commands"], {"0": [{"x": 1}, {"x": 4}], "1": [{"x": 5}]})

    def test_none_left(self) -> None:
        """A packet of which nothing is left counts as one without commands: nobody waits for it."""
        self.begin()
        self.assertRaises(InvalidRequest, self.send, "ann", 0, [1])
        self.send("bob", 0)
        self.assertEqual(self.room.here["bob"][0].texts("master")[0]["commands"], {})

    def test_not_before_it_counts(self) -> None:
        """Of one who may send none, no command is looked at."""
        self.begin()
        with self.assertRaises(Exception) as caught:
            self.send("vic", 0, [1])
        self.assertNotIn("command_schema", str(caught.exception))

    def test_restored(self) -> None:
        """After a restart commands are checked as before."""
        self.begin()
        self.turns_of_numbers(0)
        self.referee = self.make()
        self.successResultOf(self.referee.restore(self.lines()[0]["play_id"], self.players))
        for user_id in ("ann", "bob"):
            self.come(user_id)
        self.assertRaises(InvalidRequest, self.send, "ann", 1, [{"x": "no"}])
        self.send("bob", 1)
        self.assertEqual(json.loads(self.recordings.path(self.lines()[0]["play_id"]).read_bytes().splitlines()[-1])["commands"], {})

    def turns_of_numbers(self, generation: int) -> None:
        for user_id in ("ann", "bob"):
            self.send(user_id, generation, [{"x": generation}])
