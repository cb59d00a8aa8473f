"""Speed control: what the slowest network and the slowest machine can do."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.pace import Pace


class PaceTests(SynchronousTestCase):
    """`iterations_per_command`, master by master."""

    def test_before_any_report(self) -> None:
        """It is 3 while nobody has reported."""
        pace = Pace(2, 2)
        self.assertEqual([pace.next() for _ in range(30)], [3] * 30)

    def test_slowest_of_both(self) -> None:
        """The turn is the slowest latency by D, and the slowest machine says how many iterations fit."""
        pace = Pace(2, 3)
        pace.report(0, 400, 60)
        pace.report(1, 100, 30)
        pace.report(2, 0, 144)
        self.assertEqual(pace.next(), 6)  # 200 ms at 30 a second

    def test_bounds_of_a_turn(self) -> None:
        """No turn is under 50 ms or over 1000 ms, and there is one iteration at least."""
        for latency, rate, wanted in ((0, 100, 5), (10_000, 60, 60), (0, 0, 1), (0, 65535, 3277)):
            pace = Pace(2, 1, iterations=1)
            pace.report(0, latency, rate)
            self.assertEqual(pace.next(), wanted)

    def test_half_rounds_up(self) -> None:
        """Half an iteration is one: 50 ms at 50 a second are 2.5, so 3."""
        for rate, wanted in ((50, 3), (49.9, 2), (70, 4), (69.9, 3)):
            pace = Pace(1, 1, iterations=1)
            pace.report(0, 0, rate)
            self.assertEqual(pace.next(), wanted)

    def test_rises_at_once_and_falls_slowly(self) -> None:
        """Up in one step; down by one in 10 generations."""
        pace = Pace(1, 1)
        pace.report(0, 100, 100)
        self.assertEqual(pace.next(), 10)
        pace = Pace(1, 1, iterations=10)
        pace.report(0, 0, 160)
        self.assertEqual([pace.next() for _ in range(35)], [10] * 9 + [9] * 10 + [8] * 16)

    def test_smoothing(self) -> None:
        """A report moves both: s ← s + (x − s)/8 and d ← d + (|x − s| − d)/8; latency is s + 2d."""
        pace = Pace(1, 1, iterations=1)
        pace.report(0, 400, 1000)
        pace.report(0, 480, 1000)
        # s = 410, d = 10: a turn of 430 ms.
        self.assertEqual(pace.next(), 430)
        pace.report(0, 320, 1000)
        # s = 410 - 90/8 = 398.75, d = 10 + (90 - 10)/8 = 20: 438.75 ms.
        self.assertEqual(pace.next(), 439)

    def test_frame_rate_is_smoothed(self) -> None:
        """A frame rate moves by an eighth of the difference."""
        pace = Pace(1, 1, iterations=1)
        pace.report(0, 1000, 60)
        pace.report(0, 1000, 140)
        self.assertEqual(pace.next(), 70)

    def test_who_is_away_does_not_count(self) -> None:
        """The others' pace counts while one is away; when it reports again, what it had reported is gone on with."""
        pace = Pace(1, 2, iterations=1)
        pace.report(0, 500, 100)
        pace.report(1, 100, 100)
        self.assertEqual(pace.next(), 50)
        pace.leave_out(0)
        self.assertEqual([pace.next() for _ in range(10)][-1], 49)
        pace.report(0, 1300, 100)
        self.assertEqual(pace.next(), 80)  # s = 600, d = 100
        pace.leave_out(0)
        pace.leave_out(1)
        self.assertEqual([pace.next() for _ in range(30)], [80] * 30)

    @given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 65535), st.floats(0, 65535)), max_size=40), st.integers(1, 16))
    def test_bounds(self, reports: list[tuple[int, float, float]], delay: int) -> None:
        """Whatever is reported, it is from 1 to 65535 and falls by one at most."""
        pace = Pace(delay, 3)
        before = 3
        for report in reports:
            pace.report(*report)
            now = pace.next()
            self.assertTrue(1 <= now <= 65535)
            self.assertGreaterEqual(now, before - 1)
            before = now
