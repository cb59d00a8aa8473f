"""gameroom.rules.guesses"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import RateLimited
from gameroom.rules.guesses import CodeGuesses


class CodeGuessesTests(SynchronousTestCase):
    """Wrong party codes."""

    def setUp(self) -> None:
        self.guesses = CodeGuesses(keys=2)

    def guess(self, now: float, times: int = 1, address: str = "198.51.100.7", most: int = 3) -> None:
        """So many wrong codes."""
        for _ in range(times):
            self.guesses.check(now, address)
            self.guesses.count(now, most, address)

    def shut_for(self, now: float, address: str = "198.51.100.7") -> float | None:
        """How long it is told to wait; None where it may try."""
        try:
            self.guesses.check(now, address)
        except RateLimited as error:
            return error.retry_after
        return None

    def test_shut_out_for_a_minute(self) -> None:
        """Not for as long as one more guess takes to be allowed; then all of them are allowed again. Others are let alone."""
        self.guess(100.0, 2)
        self.assertIsNone(self.shut_for(100.0))
        self.guess(100.0)
        self.assertEqual([self.shut_for(now) for now in (100.0, 130.0, 159.96)], [60.0, 30.0, 0.1])
        self.assertIsNone(self.shut_for(130.0, "198.51.100.8"))
        self.guess(160.0, 3)
        self.assertEqual(self.shut_for(160.0), 60.0)

    def test_now_and_then(self) -> None:
        """Who makes fewer mistakes than that in a minute is never shut out."""
        for minute in range(10):
            self.guess(60.0 * minute, 2)

    def test_one_ipv6_host(self) -> None:
        """It has a whole /64 to guess from."""
        self.guess(0.0, 3, "2001:db8::1")
        self.assertEqual(self.shut_for(0.0, "2001:db8::2"), 60.0)

    def test_other_limits(self) -> None:
        """They count from the next guess on."""
        self.guess(0.0, 2)
        self.guess(0.0, 1, most=9)
        self.assertIsNone(self.shut_for(0.0))

    def test_a_clock_that_was_set_back(self) -> None:
        """Nobody waits longer than a minute for that."""
        self.guess(1000.0, 3)
        self.assertIsNone(self.shut_for(500.0))

    def test_so_many_addresses(self) -> None:
        """Memory is bounded: those shut out longest ago are forgotten."""
        for number in range(3):
            self.guess(float(number), 3, f"198.51.100.{number}")
        self.assertEqual([self.shut_for(2.0, f"198.51.100.{number}") for number in range(3)], [None, 59.0, 60.0])
