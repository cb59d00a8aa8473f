"""gameroom.histogram, and what Prometheus is given of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.histogram import Histogram
from gameroom.metrics import DATABASE_BUCKETS, family_of


class HistogramTests(SynchronousTestCase):
    def test_buckets(self) -> None:
        """Buckets are cumulative, a value on a bound belongs to it, and what is above all bounds is in +Inf."""
        histogram = Histogram((0.1, 0.5))
        for seconds in (0.05, 0.1, 0.3, 7.0):
            histogram.observe(seconds)
        samples = family_of(histogram, "x", "x").samples
        self.assertEqual([(s.labels.get("le"), s.value) for s in samples if s.name == "x_bucket"], [("0.1", 2), ("0.5", 3), ("+Inf", 4)])
        self.assertEqual([s.value for s in samples if s.name == "x_count"], [4])
        self.assertAlmostEqual(next(s.value for s in samples if s.name == "x_sum"), 7.45)

    def test_bounds_rise(self) -> None:
        """Bounds stand in order, or nothing would be counted where it belongs."""
        self.assertEqual(list(DATABASE_BUCKETS), sorted(set(DATABASE_BUCKETS)))
