"""Hashes that are left out: of whom they are missing, and who counts as diverged for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.hashes import DIVERGED_AFTER, TOLD_AFTER, Hashes


def same(value: Any) -> Any:
    return value


def play(hashes: Hashes, seats: range, generations: range, reports: Callable[[int, int], bool]) -> list[tuple[int, int]]:
    """Everybody sends its packets; `reports(seat, k)` says whether that hash is in them. Gives who was told when."""
    told = []
    for generation in generations:
        for seat in seats:
            about = generation - 2
            if about >= 0 and reports(seat, about):
                hashes.report(seat, about, f"h{about}")
        if hashes.suspicious and hashes.differing is None:
            told += [(seat, generation) for seat in hashes.overdue(dict.fromkeys(seats, generation).__getitem__)]
    return told


class MissingTests(SynchronousTestCase):
    """One of two leaves out hashes."""

    def setUp(self) -> None:
        self.hashes = Hashes(interval=1, input_delay=2, owing=(0, 1))

    def play(self, generations: range, reports: Callable[[int, int], bool]) -> list[tuple[int, int]]:
        return play(self.hashes, range(2), generations, reports)

    def test_none_at_all(self) -> None:
        """10 missing: told once. 10 more: it counts as diverged, in a group of its own."""
        told = self.play(range(100), lambda seat, about: seat == 0)
        self.assertEqual(told, [(1, 11)])  # with that packet it should have reported generation 9, the tenth
        self.assertEqual((self.hashes.silent, self.hashes.differing), ({1}, 0))
        self.assertTrue(self.hashes.reported())
        self.assertEqual(self.hashes.divergence(same)["groups"], [{"value": "h0", "seats": [0]}, {"value": None, "seats": [1]}])

    def test_now_and_then(self) -> None:
        """Who reports only some is found out as well, though the newest is agreed again and again."""
        told = self.play(range(100), lambda seat, about: seat == 0 or about % 2 == 0)
        self.assertEqual([seat for seat, _ in told], [1])
        self.assertEqual(self.hashes.silent, {1})
        self.assertGreater(self.hashes.agreed or 0, 30)

    def test_nobody_reports(self) -> None:
        """An engine without hashes is fine."""
        self.assertEqual(self.play(range(100), lambda seat, about: False), [])
        self.assertEqual(self.hashes.differing, None)

    def test_all_report(self) -> None:
        """Nobody is told anything, and hardly anything is kept."""
        self.assertEqual(self.play(range(1000), lambda seat, about: True), [])
        self.assertEqual((self.hashes.agreed, self.hashes.suspicious), (997, False))

    def test_forgiven(self) -> None:
        """Who comes back owes nothing of before."""
        self.play(range(11), lambda seat, about: seat == 0)
        self.hashes.excuse(1)
        self.hashes.owe(1, 11)
        self.assertEqual(self.play(range(11, 200), lambda seat, about: seat == 0 or about >= 11), [])
        self.assertEqual((self.hashes.agreed, self.hashes.differing), (197, None))


class FewTests(SynchronousTestCase):
    """Most leave them out."""

    def setUp(self) -> None:
        self.hashes = Hashes(interval=1, input_delay=2, owing=(0, 1, 2))

    def play(self, generations: range, reports: Callable[[int, int], bool]) -> list[tuple[int, int]]:
        return play(self.hashes, range(3), generations, reports)

    def test_one_of_three(self) -> None:
        """A hash that less than half have reported is missing of nobody: one who reports does not stop those who never do, and little is kept."""
        self.assertEqual(self.play(range(2000), lambda seat, about: seat == 0), [])
        self.assertEqual((self.hashes.differing, self.hashes.agreed), (None, None))
        self.assertLessEqual(self.hashes._open.count, TOLD_AFTER)

    def test_two_of_three(self) -> None:
        """At least half are enough."""
        self.assertEqual([seat for seat, _ in self.play(range(40), lambda seat, about: seat != 1)], [1])
        self.assertEqual((self.hashes.silent, self.hashes.differing), ({1}, 0))

    def test_others_begin_later(self) -> None:
        """Once most of them report, a hash is missing of who does not; what was before is not held against it."""
        self.assertEqual(self.play(range(100), lambda seat, about: seat == 0), [])
        told = self.play(range(100, 200), lambda seat, about: seat != 1)
        self.assertEqual([seat for seat, _ in told], [1])
        self.assertGreaterEqual(told[0][1], 100 + TOLD_AFTER - 1)
        self.assertGreaterEqual(self.hashes.differing or 0, 98)

    def test_fewer_are_left(self) -> None:
        """Where one of the two who report goes after the other two were found out, the one who is left does not halt the play."""
        self.hashes.owe(3, 0)
        play(self.hashes, range(4), range(40), lambda seat, about: seat < 2)
        self.assertEqual(self.hashes.silent, {2, 3})
        self.hashes.excuse(0)
        self.assertEqual((self.hashes.silent, self.hashes.differing), (frozenset(), None))

    def test_still_compared(self) -> None:
        """What few report is compared all the same."""
        self.play(range(5), lambda seat, about: seat == 0)
        self.hashes.report(1, 2, "other")
        self.assertEqual(self.hashes.differing, 2)
        self.assertFalse(self.hashes.reported())

    @given(
        habits=st.lists(st.sampled_from([(1, 0), (1, 0), (2, 0), (2, 1), (3, 1), (0, 0)]), min_size=2, max_size=5),
        generations=st.integers(0, 120),
        delay=st.integers(1, 4),
    )
    @settings(max_examples=150, deadline=None)
    def test_any_habits(self, habits: list[tuple[int, int]], generations: int, delay: int) -> None:
        """Each reports all, some, or none: found out is who has left out so many that at least half had reported, and nobody else."""
        seats = range(len(habits))

        def reports(seat: int, about: int) -> bool:
            every, at = habits[seat]
            return every > 0 and about % every == at

        hashes = Hashes(interval=1, input_delay=delay, owing=seats)
        told, missing = set[int](), dict.fromkeys(seats, 0)
        for generation in range(generations):
            about = generation - delay
            have = {seat for seat in seats if about >= 0 and reports(seat, about)}
            for seat in have:
                hashes.report(seat, about, about)
            for seat in seats:
                missing[seat] += seat not in have and 2 * len(have) >= len(seats) and about >= 0
            if hashes.suspicious:
                told.update(hashes.overdue(dict.fromkeys(seats, generation).__getitem__))
            self.assertLessEqual(told, {seat for seat in seats if missing[seat] >= TOLD_AFTER})
            self.assertLessEqual(hashes.silent, {seat for seat in seats if missing[seat] >= DIVERGED_AFTER})
            self.assertLessEqual(hashes._open.count, DIVERGED_AFTER * len(seats) + 2 * delay)
            if hashes.differing is not None:
                break
        found_out = [seat for seat in seats if missing[seat] > DIVERGED_AFTER + 2 * delay]
        self.assertTrue(not found_out or hashes.differing is not None, (missing, told))
