"""gameroom.hashing"""

from __future__ import annotations

from threading import get_ident
from unittest import mock

import bcrypt
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, RateLimited
from gameroom.hashing import PasswordHasher, digest
from gameroom.own_threads import OwnThreads
from tests.hashing import COST, Held, at_once
from tests.test_own_threads import StandingReactor


class PasswordHasherTests(SynchronousTestCase):
    """lobby.md "Accounts and tokens": bcrypt over the base64 of the password's SHA-256, in a bounded queue."""

    def hasher(self, run_in_thread=at_once, threads=2, queue=64):
        return PasswordHasher(run_in_thread=run_in_thread, threads=threads, queue=queue, cost=COST)

    def test_right_and_wrong(self):
        """A password verifies against its own hash alone, which is bcrypt of the cost that was asked for."""
        hasher = self.hasher()
        hashed = self.successResultOf(hasher.hash("correct horse"))
        self.assertTrue(hashed.startswith(f"$2b${COST:02}$"))
        self.assertIs(self.successResultOf(hasher.verify("correct horse", hashed)), True)
        self.assertIs(self.successResultOf(hasher.verify("correct horsf", hashed)), False)

    def test_salted(self):
        """One password hashed twice gives two hashes."""
        hasher = self.hasher()
        self.assertNotEqual(self.successResultOf(hasher.hash("correct horse")), self.successResultOf(hasher.hash("correct horse")))

    def test_all_of_it_counts(self):
        """Neither the 72nd byte nor a NUL cuts a password, and one of 1024 characters of four bytes is fine."""
        hasher = self.hasher()
        for password, other in [("x" * 80 + "a", "x" * 80 + "b"), ("abcdefgh\0i", "abcdefgh\0j"), ("\U0001f600" * 1024, "\U0001f600" * 1023)]:
            hashed = self.successResultOf(hasher.hash(password))
            self.assertTrue(self.successResultOf(hasher.verify(password, hashed)))
            self.assertFalse(self.successResultOf(hasher.verify(other, hashed)))

    def test_digest(self):
        """What bcrypt gets: 44 characters, by the book (printf password | openssl sha256 -binary | base64)."""
        self.assertEqual(digest("password"), b"XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=")

    def test_nobody_costs_the_same(self):
        """Where there is no account the same function runs at the same cost, and is never right."""
        hasher = PasswordHasher(run_in_thread=at_once, cost=COST + 1)
        with mock.patch.object(bcrypt, "checkpw", wraps=bcrypt.checkpw) as checkpw:
            self.assertIs(self.successResultOf(hasher.verify("correct horse", None)), False)
        [(_, salt)] = [call.args for call in checkpw.call_args_list]
        self.assertTrue(salt.startswith(b"$2b$%02d$" % (COST + 1)))

    def test_bounded(self):
        """So many at a time, so many waiting, and whoever comes then is told for how long to wait."""
        held = Held()
        hasher = self.hasher(run_in_thread=held, threads=2, queue=3)
        results = [hasher.hash("correct horse") for _ in range(5)]
        self.assertEqual(len(held.work), 2)
        error = self.failureResultOf(hasher.hash("correct horse"), RateLimited).value
        self.assertGreater(error.retry_after, 0)
        self.failureResultOf(hasher.verify("correct horse", None), RateLimited)
        held.run_one()
        self.successResultOf(results[0])
        self.assertEqual(len(held.work), 2)
        results.append(hasher.hash("correct horse"))
        while held.work:
            held.run_one()
        for result in results[1:]:
            self.successResultOf(result)

    def test_first_come_first_served(self):
        """Those that wait are served in the order in which they came."""
        held, served = Held(), []
        hasher = self.hasher(run_in_thread=held, threads=1)
        for number in range(4):
            hasher.hash("correct horse").addCallback(lambda _, number=number: served.append(number))
        while held.work:
            self.assertEqual(len(held.work), 1)
            held.run_one()
        self.assertEqual(served, [0, 1, 2, 3])

    def test_failure_frees_its_place(self):
        """Work that fails, and a thread that cannot be had, are told and do not stay counted."""
        hasher = self.hasher(threads=1)
        self.failureResultOf(hasher.verify("correct horse", "no hash"), ValueError)
        self.successResultOf(hasher.hash("correct horse"))

        def refuse(work):
            raise RuntimeError("can't start new thread")

        hasher = self.hasher(run_in_thread=refuse, threads=1, queue=0)
        for _ in range(3):
            self.failureResultOf(hasher.hash("correct horse"), RuntimeError)

    def test_cancel(self):
        """One that is given up while it waits is never run; one that runs is left alone."""
        held = Held()
        hasher = self.hasher(run_in_thread=held, threads=1)
        running, waiting, last = (hasher.hash("correct horse") for _ in range(3))
        waiting.cancel()
        running.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.failureResultOf(running, CancelledError)
        held.run_one()
        held.run_one()
        self.assertEqual(held.work, [])
        self.successResultOf(last)

    def test_stop(self):
        """Going down gives up those that wait and takes no more; what runs comes to its end."""
        held = Held()
        hasher = self.hasher(run_in_thread=held, threads=1)
        running, waiting = hasher.hash("correct horse"), hasher.hash("correct horse")
        hasher.stop()
        self.failureResultOf(waiting, BadState)
        self.failureResultOf(hasher.hash("correct horse"), BadState)
        held.run_one()
        self.successResultOf(running)
        self.assertEqual(held.work, [])


class HashingThreadsTests(SynchronousTestCase):
    """The threads, with a reactor that stands still: what they hand back is run here."""

    def test_never_in_the_reactors_thread(self):
        """Hashing is in a thread of the pool, its result comes back through the reactor, and shutdown ends the pool."""
        threads: list[int] = []
        results: list[object] = []
        hashpw, checkpw = bcrypt.hashpw, bcrypt.checkpw

        def noted(function):
            def call(*args):
                threads.append(get_ident())
                return function(*args)

            return call

        self.patch(bcrypt, "hashpw", noted(hashpw))
        self.patch(bcrypt, "checkpw", noted(checkpw))
        reactor = StandingReactor()
        hasher = PasswordHasher(run_in_thread=OwnThreads(reactor, 2, "hashing"), threads=2, cost=COST)
        hasher.hash("correct horse").addCallback(results.append)
        hasher.verify("correct horse", None).addCallback(results.append)
        self.assertEqual(results, [])
        reactor.shut_down()
        self.assertEqual(len(threads), 2)
        self.assertNotIn(get_ident(), threads)
        for call in reactor.back:
            call()
        self.assertEqual(len(results), 2)


class HeldTests(SynchronousTestCase):
    """The double that the tests of others trust."""

    def test_errors_are_results(self):
        """What fails in the thread fails the Deferred."""
        held = Held()
        result: Deferred[None] = held(self.fail)
        self.assertNoResult(result)
        held.run_one()
        self.failureResultOf(result, AssertionError)
