"""gameroom.rules.limits"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import RateLimited
from gameroom.rules.limits import KeyedBuckets, LoginTries, TokenBucket, network


class TokenBucketTests(SynchronousTestCase):
    """One bucket."""

    def test_burst_then_rate(self):
        """The burst is there at once, and then so many a second come."""
        bucket = TokenBucket(rate=2, burst=3)
        self.assertEqual([bucket.take(100.0) for _ in range(4)], [True, True, True, False])
        self.assertEqual(bucket.wait(100.0), 0.5)
        self.assertFalse(bucket.take(100.25))
        self.assertTrue(bucket.take(100.5))
        self.assertFalse(bucket.take(100.5))

    def test_never_above_the_burst(self):
        """However long nobody asks, it holds no more than the burst."""
        bucket = TokenBucket(rate=2, burst=3)
        bucket.take(0.0)
        self.assertEqual([bucket.take(1e9) for _ in range(4)], [True, True, True, False])

    def test_all_or_nothing(self):
        """Too large a bite takes nothing; one above the burst can be waited for in vain."""
        bucket = TokenBucket(rate=1, burst=3)
        self.assertFalse(bucket.take(0.0, 4))
        self.assertTrue(bucket.take(0.0, 3))
        self.assertEqual(bucket.wait(0.0, 2), 2.0)
        self.assertEqual(bucket.wait(0.0, 4), float("inf"))

    def test_clock_set_back(self):
        """A clock that is set back gives nothing away, and filling goes on from there."""
        bucket = TokenBucket(rate=1, burst=1)
        self.assertTrue(bucket.take(1000.0))
        self.assertFalse(bucket.take(500.0))
        self.assertTrue(bucket.take(501.0))

    def test_change(self):
        """Other limits keep what was used."""
        bucket = TokenBucket(rate=1, burst=3)
        bucket.take(0.0, 2)
        bucket.change(rate=1, burst=5)
        self.assertEqual([bucket.take(0.0) for _ in range(4)], [True, True, True, False])
        bucket.change(rate=1, burst=1)
        self.assertFalse(bucket.take(0.0))
        self.assertTrue(bucket.take(1.0))

    @given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=60))
    def test_law(self, steps):
        """In any stretch of time no more is taken than the burst and what flowed in, and `wait` says exactly when."""
        bucket, now, taken = TokenBucket(rate=0.25, burst=4), 0.0, []
        for pause, n in steps:
            now += pause / 4
            if bucket.wait(now, n) > 0:
                self.assertFalse(bucket.take(now, n))
                self.assertTrue(bucket.wait(now + bucket.wait(now, n), n) == 0)
                # That moved it on in time.
                now += 16
            if bucket.take(now, n):
                taken.append((now, n))
        for first, (since, _) in enumerate(taken):
            for last in range(first, len(taken)):
                self.assertLessEqual(sum(n for _, n in taken[first : last + 1]), 4 + (taken[last][0] - since) * 0.25)


class KeyedBucketsTests(SynchronousTestCase):
    """Many buckets."""

    def test_each_for_itself(self):
        """What one key used is not missing for another."""
        buckets = KeyedBuckets(rate=1, burst=1)
        self.assertEqual([buckets.take(key, 0.0) for key in "aab"], [True, False, True])
        self.assertEqual((buckets.wait("a", 0.0), buckets.wait("c", 0.0)), (1.0, 0.0))

    def test_full_ones_are_forgotten(self):
        """A bucket that is full again takes no memory: thousands come and go, few are kept."""
        buckets = KeyedBuckets(rate=1, burst=2)
        for moment in range(10_000):
            buckets.take(moment, float(moment))
        self.assertLessEqual(len(buckets), 3)

    def test_bounded(self):
        """There are never more than so many; the one used longest ago is forgotten."""
        buckets = KeyedBuckets(rate=1e-9, burst=1, keys=100)
        for key in range(1000):
            buckets.take(key, 0.0)
        self.assertEqual(len(buckets), 100)
        self.assertFalse(buckets.take(999, 0.0))
        self.assertTrue(buckets.take(1, 0.0))

    def test_change(self):
        """Other limits hold for keys that are known and for new ones."""
        buckets = KeyedBuckets(rate=1, burst=1)
        buckets.take("a", 0.0)
        buckets.change(rate=1, burst=2)
        self.assertEqual([buckets.take(key, 0.0) for key in "aabbb"], [True, False, True, True, False])


class LoginTriesTests(SynchronousTestCase):
    """README.md `login_tries`."""

    def test_account(self):
        """So many a minute for an account from wherever, then 106 with the wait; a minute later all are there again."""
        tries = LoginTries()
        for number in range(10):
            tries.count(0.0, 10, f"192.0.2.{number}", "alice")
        error = self.assertRaises(RateLimited, tries.count, 0.0, 10, "192.0.2.99", "alice")
        self.assertEqual(error.retry_after, 6.0)
        tries.count(0.0, 10, "192.0.2.99", "bob")
        for _ in range(10):
            tries.count(60.0, 10, "192.0.2.1", "alice")

    def test_address(self):
        """Four times that for an address, whichever the account, and those without one count too."""
        tries = LoginTries()
        for number in range(40):
            tries.count(0.0, 10, "192.0.2.1", None if number % 2 else number)
        error = self.assertRaises(RateLimited, tries.count, 0.0, 10, "192.0.2.1", "alice")
        self.assertEqual(error.retry_after, 1.5)
        tries.count(0.0, 10, "192.0.2.2", "alice")

    def test_refused_for_the_address_does_not_harm_the_account(self):
        """Whoever is refused for their address uses up nothing of the account's tries."""
        tries = LoginTries()
        for _ in range(4):
            tries.count(0.0, 1, "192.0.2.1")
        for _ in range(100):
            self.assertRaises(RateLimited, tries.count, 0.0, 1, "192.0.2.1", "alice")
        tries.count(0.0, 1, "192.0.2.2", "alice")

    def test_reread_limits(self):
        """The number may change from one try to the next."""
        tries = LoginTries()
        tries.count(0.0, 1, "192.0.2.1", "alice")
        self.assertRaises(RateLimited, tries.count, 0.0, 1, "192.0.2.1", "alice")
        tries.count(0.0, 2, "192.0.2.1", "alice")

    def test_networks(self):
        """An IPv6 host chooses its address from a /64, so that counts as one; IPv4 within IPv6 is IPv4."""
        self.assertEqual(network("2001:db8::1"), network("2001:db8:0:0:ffff::2"))
        self.assertNotEqual(network("2001:db8::1"), network("2001:db8:0:1::1"))
        self.assertEqual(network("::ffff:192.0.2.1"), network("192.0.2.1"))
        self.assertEqual(network("fe80::1%eth0"), network("fe80::2%eth0"))
        self.assertNotEqual(network("192.0.2.1"), network("192.0.2.2"))
        self.assertEqual(network("/run/gameroom.sock"), "/run/gameroom.sock")
