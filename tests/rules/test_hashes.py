"""Hashes: agreement, divergence, and those that are left out."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.hashes import WHOLE, Hashes
from gameroom.rules.open_tallies import NEAR


def same(value: Any) -> Any:
    return value


class HashesTests(SynchronousTestCase):
    """The reports of three players."""

    def setUp(self) -> None:
        self.hashes = Hashes(interval=1, input_delay=2, owing=(0, 1, 2))

    def test_agreed_when_all_have_reported(self) -> None:
        """The last report makes the generation the agreed one."""
        self.assertEqual([self.hashes.report(seat, 0, "a") for seat in (2, 0, 1)], [False, False, True])
        self.assertEqual(self.hashes.newest_agreed(), (0, "a"))

    def test_late_report_of_an_older_one(self) -> None:
        """A packet that was lost brings its hash late; it agrees, and the newest stays the newest."""
        for seat in (0, 1):
            self.hashes.report(seat, 0, "a")
        for seat in (0, 1, 2):
            self.hashes.report(seat, 1, "b")
        self.assertFalse(self.hashes.report(2, 0, "a"))
        self.assertEqual((self.hashes.newest_agreed(), self.hashes.differing), ((1, "b"), None))

    def test_late_report_may_differ(self) -> None:
        """What comes late is compared as well, also with what is agreed already."""
        self.hashes.excuse(2)
        for generation in (0, 1):
            for seat in (0, 1):
                self.hashes.report(seat, generation, "a")
        self.hashes.report(2, 1, "z")
        self.assertEqual(self.hashes.differing, 1)
        self.assertEqual(self.hashes.divergence(same)["last_agreed"], 0)

    def test_many_that_are_open(self) -> None:
        """Each report counts for its own generation, however many are open."""
        generations = range(3 * NEAR)
        for seat in (0, 1):
            for generation in generations:
                self.assertFalse(self.hashes.report(seat, generation, generation))
        self.assertEqual(self.hashes.differing, None)
        for generation in generations:
            self.assertTrue(self.hashes.report(2, generation, generation))
            self.assertEqual(self.hashes.newest_agreed(), (generation, generation))

    def test_second_report_is_nothing(self) -> None:
        """A player's first word counts."""
        self.hashes.report(0, 0, "a")
        self.hashes.report(0, 0, "z")
        self.assertEqual(self.hashes.differing, None)
        self.hashes.report(1, 0, "a")
        self.assertTrue(self.hashes.report(2, 0, "a"))

    def test_divergence(self) -> None:
        """The groups are by value, those of the lowest seats first."""
        for seat, value in ((2, "b"), (1, "a"), (0, "a")):
            self.hashes.report(seat, 0, value)
        self.assertEqual(self.hashes.differing, 0)
        self.assertTrue(self.hashes.reported())
        told = {"generation": 0, "groups": [{"value": "a", "seats": [0, 1]}, {"value": "b", "seats": [2]}], "last_agreed": None}
        self.assertEqual(self.hashes.divergence(same), told)

    def test_sections(self) -> None:
        """Where hashes have sections the divergence names those that differ, also one that others do not have."""
        self.hashes.report(0, 0, {"units": "1", "map": "1"})
        self.hashes.report(1, 0, {"units": "2", "map": "1"})
        self.hashes.report(2, 0, {"units": "1", "map": "1", "fog": "1"})
        self.assertEqual(self.hashes.divergence(same)["sections"], ["fog", "units"])

    def test_equal_sections_in_another_order(self) -> None:
        """The order of names is nothing."""
        self.hashes.report(0, 0, {"units": "1", "map": "1"})
        self.hashes.report(1, 0, {"map": "1", "units": "1"})
        self.assertEqual(self.hashes.differing, None)

    def test_old_sections(self) -> None:
        """Of old generations only so much is kept as later reports and snapshots need to be compared; the newest have all sections."""
        hashes = Hashes(interval=2, input_delay=2, owing=(0, 1))
        for about in range(0, 200, 2):
            for seat in (0, 1):
                hashes.report(seat, about, {"units": f"h{about}"})
        whole = [about for about in range(0, 200, 2) if type(hashes.agreed_on(about)) is dict]
        self.assertEqual(whole, list(range(200 - 2 * WHOLE, 200, 2)))
        self.assertEqual((hashes.agreed_on(20), hashes.newest_agreed()), ({"units": "h20"}, (198, {"units": "h198"})))
        hashes.report(2, 20, {"units": "h20"})
        self.assertIsNone(hashes.differing)
        hashes.report(2, 22, {"units": "other"})
        self.assertEqual([group["seats"] for group in hashes.divergence(same)["groups"]], [[0, 1], [2]])

    def test_reported_waits_for_those_who_owe(self) -> None:
        """Two differ: the third is waited for, unless it is excused."""
        self.hashes.report(0, 0, "a")
        self.hashes.report(1, 0, "b")
        self.assertFalse(self.hashes.reported())
        self.hashes.excuse(2)
        self.assertTrue(self.hashes.reported())

    def test_excused(self) -> None:
        """Who goes is not waited for: what the others have reported is agreed then, the newest of it."""
        for generation in (0, 1):
            for seat in (0, 1):
                self.hashes.report(seat, generation, f"h{generation}")
        self.assertTrue(self.hashes.excuse(2))
        self.assertEqual(self.hashes.newest_agreed(), (1, "h1"))
        self.assertFalse(self.hashes.excuse(1))

    def test_comes_back(self) -> None:
        """Who is back owes from then on: not what is before, but what follows."""
        self.hashes.excuse(2)
        self.hashes.report(0, 0, "a")
        self.hashes.owe(2, 1)
        self.hashes.report(1, 0, "a")
        self.assertTrue(self.hashes.excuse(0) or self.hashes.agreed == 0)
        self.hashes.report(1, 1, "b")
        self.assertEqual(self.hashes.agreed, 0)
        self.assertTrue(self.hashes.report(2, 1, "b"))

    def test_check(self) -> None:
        """A hash of what is not mastered yet, or is not asked for, is refused."""
        hashes = Hashes(interval=4, input_delay=2, owing=(0,))
        hashes.check(4, 5)
        self.assertRaises(InvalidRequest, hashes.check, 5, 5)
        self.assertRaises(InvalidRequest, hashes.check, 3, 5)

    def test_reported_after_the_return(self) -> None:
        """Seat 1 is away from 3 on and back at 8; what seat 0 reports of 3 to 7 after that is agreed without it."""
        hashes = Hashes(interval=1, input_delay=8, owing=[0, 1])
        for about in range(3):
            hashes.report(0, about, 17)
            hashes.report(1, about, 17)
        hashes.excuse(1)
        hashes.owe(1, 8)
        for about in range(3, 8):
            self.assertTrue(hashes.report(0, about, 17), about)
            self.assertEqual(hashes.agreed, about)
        hashes.report(0, 8, 17)
        self.assertEqual(hashes.agreed, 7)
        hashes.report(1, 8, 17)
        self.assertEqual(hashes.agreed, 8)
