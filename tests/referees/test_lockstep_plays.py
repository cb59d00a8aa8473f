"""Lock-step plays after the daemon was killed."""

from __future__ import annotations

from gameroom.rules.lockstep import ITERATING, LAGGING
from tests.referees.lockstep_world import PLAY, RefereeCase


class RestoreTests(RefereeCase):
    """After the daemon was killed."""

    def killed(self) -> None:
        """Nothing but the recording is left, and nobody is connected."""
        self.referee, self.room.here, self.room.states = self.make(), {}, []

    def restore(self) -> None:
        self.successResultOf(self.referee.restore(PLAY, self.players))

    def test_goes_on(self) -> None:
        """It lags with all away, and goes on by itself when they are back; no generation is lost."""
        self.begin()
        self.turns(0, 5)
        self.send("ann", 6)
        self.killed()
        self.restore()
        self.assertEqual(self.room.states, [(LAGGING, ["ann", "bob"])])
        ann = self.come("ann", PLAY, 5)
        self.assertEqual(ann.texts("start")[0]["generation"], 6)
        bob = self.come("bob", PLAY, 4)
        self.turns(6, 7)
        self.assertEqual((ann.generations(), bob.generations()), ([6, 7], [5, 6, 7]))
        self.assertEqual(self.room.states[-1], (ITERATING, None))
        self.assertEqual([line["generation"] for line in self.lines()[1:]], list(range(8)))

    def test_start_is_as_at_the_beginning(self) -> None:
        """`start` names all players of the play, also one who has left since."""
        self.begin()
        self.referee.left("bob", 1, "left")
        self.send("ann", 0)
        self.killed()
        del self.players[1]
        self.restore()
        start = self.come("ann").texts("start")[0]
        self.assertEqual([player["user_id"] for player in start["players"]], ["ann", "bob"])
        self.send("ann", 1)
        self.assertEqual(sum("system" in line for line in self.lines()), 1)

    def test_left_before_it_was_mastered(self) -> None:
        """Who had left when it was killed, and stands in no master yet, has left."""
        self.begin()
        self.turns(0, 0)
        self.killed()
        del self.players[1]
        self.restore()
        self.come("ann", PLAY, 0)
        self.send("ann", 1)
        self.assertEqual(self.lines()[-1]["system"], [{"left": 1}])

    def test_had_ended(self) -> None:
        """A play whose end was recorded, and not yet the room's, ends as it did."""
        self.begin()
        self.turns(0, 0)
        for user_id in ("ann", "bob"):
            self.say(user_id, {"type": "finish", "generation": 0, "results": {"winner": 0}})
        self.killed()
        self.room.ended.clear()
        self.restore()
        self.assertEqual(self.room.ended, [("finished", {"winner": 0})])

    def test_no_recording(self) -> None:
        """Without its recording a play cannot be taken up."""
        self.failureResultOf(self.referee.restore(PLAY, self.players), FileNotFoundError)

    def test_nobody_comes(self) -> None:
        """It is over after room_ttl."""
        self.begin()
        self.killed()
        self.restore()
        self.wait(119)
        self.assertEqual(self.room.ended, [])
        self.wait(1)
        self.assertEqual(self.room.ended, [("abandoned", None)])
