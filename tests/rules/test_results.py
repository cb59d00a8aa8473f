"""What players say of the end of their game."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.results import Results


class ResultsTests(SynchronousTestCase):
    """Three players."""

    def test_all_or_most(self) -> None:
        """All must say the same, or more than half where that is enough; only those who play are asked."""
        for all_needed, expected in ((True, [None, None, None, ("x",)]), (False, [None, None, ("x",), ("x",)])):
            results = Results(all_needed=all_needed)
            found = [results.settled((0, 1, 2))]
            for seat in range(3):
                results.say(seat, 7, "x")
                found.append(results.settled((0, 1, 2)))
            self.assertEqual(found, expected)
            results.say(2, 8, "x")
            self.assertEqual(results.settled((0, 1)), ("x",))
            self.assertIsNone(results.settled((1, 2)))

    def test_nobody_plays(self) -> None:
        """Nobody's word is no end."""
        self.assertIsNone(Results(all_needed=True).settled(()))
