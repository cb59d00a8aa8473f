"""Moments in writing."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.times import rfc3339


class TimesTests(SynchronousTestCase):
    def test_utc_with_milliseconds(self) -> None:
        """RFC 3339 in UTC, always with three digits of a second."""
        self.assertEqual("1970-01-01T00:00:00.000Z", rfc3339(0))
        self.assertEqual("2023-11-14T22:13:20.001Z", rfc3339(1_700_000_000_001))

    @given(st.integers(0, 4_000_000_000_000))
    def test_exact(self, unix_ms: int) -> None:
        """No millisecond is lost, and as texts they sort as they follow each other."""
        self.assertEqual(unix_ms, round(datetime.fromisoformat(rfc3339(unix_ms)).timestamp() * 1000))
        self.assertLess(rfc3339(unix_ms), rfc3339(unix_ms + 1))
