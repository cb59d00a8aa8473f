"""gameroom.rules.sessions"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from hashlib import sha256

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, Forbidden, Unauthorized
from gameroom.rules.sessions import HOUR_MS, Account, Session, SessionMemory, check, new_token, proof, slid, token_hash

DAY_MS = 24 * HOUR_MS


def session(number=0, account="a", **fields):
    who = Account(username=account.upper(), key=account, role="player", account_id=account)
    return attrs.evolve(Session(account=who, token_hash=str(number), expires_ms=1000), **fields)


class TokenTests(SynchronousTestCase):
    """What a token is."""

    def test_token(self):
        """256 random bits as URL-safe base64 without padding; what is kept is its SHA-256."""
        asked = []

        def random_bytes(count):
            asked.append(count)
            return bytes(range(count, 0, -1))

        token = new_token(random_bytes)
        self.assertEqual(asked, [32])
        self.assertEqual(urlsafe_b64decode(token + "="), bytes(range(32, 0, -1)))
        self.assertRegex(token, r"^[A-Za-z0-9_-]{43}$")
        self.assertEqual(token_hash(token), sha256(token.encode()).hexdigest())
        self.assertEqual(proof(token), token_hash(token))

    def test_no_token(self):
        """Without a token one is told to log in; with what cannot be one, that it is none."""
        for token in (None, ""):
            error = self.assertRaises(Unauthorized, proof, token)
            self.assertIn("log in", error.message)
        for token in ("é", "x" * 129, "x" * 1_000_000, "\ud800"):
            self.assertRaises(Unauthorized, proof, token)


class CheckTests(SynchronousTestCase):
    """Which sessions are good."""

    def test_good(self):
        """For its role, and for any, until the moment that it expires."""
        good = session(expires_ms=1000)
        self.assertIs(check(good, "player", 999), good)
        self.assertIs(check(good, None, 999), good)
        self.assertRaises(Unauthorized, check, good, "player", 1000)

    def test_order(self):
        """Unknown and expired come before superseded, that before suspended and the role."""
        everything = session(superseded=True, suspended=True, expires_ms=1000)
        self.assertRaises(Unauthorized, check, None, "developer", 0)
        self.assertRaises(Unauthorized, check, everything, "developer", 1000)
        self.assertRaises(BadState, check, everything, "developer", 999)
        error = self.assertRaises(Forbidden, check, attrs.evolve(everything, superseded=False), "developer", 999)
        self.assertIn("suspended", error.message)
        error = self.assertRaises(Forbidden, check, session(), "developer", 999)
        self.assertIn("developer", error.message)

    def test_slides_hourly(self):
        """Using it moves its end on, but only when that is an hour or more, and never back."""
        fresh = session(expires_ms=30 * DAY_MS)
        self.assertIsNone(slid(fresh, 0, 30 * DAY_MS))
        self.assertIsNone(slid(fresh, HOUR_MS - 1, 30 * DAY_MS))
        later = slid(fresh, HOUR_MS, 30 * DAY_MS)
        self.assertEqual(later, attrs.evolve(fresh, expires_ms=30 * DAY_MS + HOUR_MS))
        self.assertIsNone(slid(fresh, HOUR_MS, DAY_MS))

    @given(st.integers(1, 60 * DAY_MS), st.lists(st.integers(0, DAY_MS), max_size=30))
    def test_lives_while_used(self, lifetime, pauses):
        """Whatever the lifetime, one that is used every 23/24 of it never ends, and one left alone never outlives it."""
        now, current = 0, session(expires_ms=lifetime)
        for pause in pauses:
            now += min(pause, lifetime * 23 // 24 - 1 if lifetime > 24 else 0)
            current = slid(check(current, "player", now), now, lifetime) or current
            self.assertLessEqual(current.expires_ms, now + lifetime)


class SessionMemoryTests(SynchronousTestCase):
    """What is remembered of sessions."""

    def test_least_recently_used_goes(self):
        """It holds so many; the one that was not asked for longest is forgotten, also in its account's list."""
        memory = SessionMemory(2)
        for number in (1, 2):
            memory.put(session(number))
        memory.get("1")
        memory.put(session(3))
        self.assertEqual([memory.get(str(number)) is not None for number in (1, 2, 3)], [True, False, True])
        self.assertEqual(len(memory), 2)
        memory.forget("a")
        self.assertEqual(len(memory), 0)

    def test_forget_is_for_one_account(self):
        """Only that account's sessions go."""
        memory = SessionMemory(9)
        memory.put(session(1, "a"))
        memory.put(session(2, "b"))
        memory.forget("a")
        memory.forget("nobody")
        self.assertIsNone(memory.get("1"))
        self.assertEqual(memory.get("2"), session(2, "b"))

    def test_read_before_a_change(self):
        """What was being read of an account while it changed is not remembered, and has to be read again."""
        memory = SessionMemory(9)
        before, other = memory.begin(), memory.begin()
        memory.forget("a")
        self.assertFalse(memory.end(before, session(1, "a")))
        self.assertIsNone(memory.get("1"))
        self.assertTrue(memory.end(other, session(2, "b")))
        self.assertIsNotNone(memory.get("2"))
        after = memory.begin()
        self.assertTrue(memory.end(after, session(1, "a")))
        self.assertIsNotNone(memory.get("1"))

    def test_nothing_found(self):
        """An unknown token is not remembered: strangers cannot fill the memory."""
        memory = SessionMemory(9)
        self.assertTrue(memory.end(memory.begin(), None))
        self.assertEqual(len(memory), 0)

    @given(st.lists(st.tuples(st.sampled_from(["put", "get", "forget"]), st.integers(0, 9)), max_size=60))
    def test_bounded_whatever_happens(self, steps):
        """It never holds more than its size, and what it holds is what was put there last."""
        memory = SessionMemory(3)
        put: dict[int, Session] = {}
        for what, number in steps:
            if what == "put":
                put[number] = session(number, "abc"[number % 3], expires_ms=len(put))
                memory.put(put[number])
            elif what == "get":
                self.assertIn(memory.get(str(number)), (None, put.get(number)))
            else:
                memory.forget("abc"[number % 3])
                self.assertTrue(all(memory.get(str(other)) is None for other in range(10) if other % 3 == number % 3))
            self.assertLessEqual(len(memory), 3)
