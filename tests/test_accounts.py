"""gameroom.accounts: registering and logging in. Sessions are in test_accounts_sessions.py, histories in test_accounts_history.py."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import attrs

from gameroom.errors import BadState, Conflict, InvalidRequest, RateLimited, Unauthorized
from gameroom.hashing import PasswordHasher
from gameroom.settings import Limits
from tests.accounts import HERE, OTHER, PASSWORD, AccountsTestCase
from tests.hashing import Held


class RegisterTests(AccountsTestCase):
    """Registering."""

    def test_token(self):
        """Whoever registers is logged in: the token tells who they are."""
        token = self.register("Alice")
        session = self.successResultOf(self.accounts.identify(token))
        account = session.account
        self.assertEqual((account.username, account.key, account.role), ("Alice", "alice", "player"))
        self.assertRegex(account.account_id, r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertEqual(session.token_hash, sha256(token.encode()).hexdigest())

    def test_taken(self):
        """A name is taken in its role in any case and by whoever looks like it, and nobody waits for hashing to hear that."""
        self.register("Paypal")
        self.hasher.calls.clear()
        for name in ("Paypal", "PAYPAL", "ｐaypal", "p\u0430ypal", "P\u0410YPAL"):
            self.assertIn("choose another", self.refused(self.accounts.register("player", name, PASSWORD, HERE), Conflict).message)
        self.assertEqual(self.hasher.calls, [])

    def test_other_role(self):
        """A developer may be called what a player is called; they are two accounts."""
        player, developer = self.register("alice", "player"), self.register("alice", "developer")
        ids = {self.successResultOf(self.accounts.identify(token, None)).account.account_id for token in (player, developer)}
        self.assertEqual(len(ids), 2)

    def test_ascii_names_may_look_alike(self):
        """Two ASCII names are told apart by their letters; a third, that is not ASCII, is taken for both."""
        for name in ("mary", "rnary", "Ivan", "lvan"):
            self.register(name)
        self.refused(self.accounts.register("player", "m\u0430ry", PASSWORD, HERE), Conflict)

    def test_ascii_after_one_that_is_not(self):
        """Being ASCII does not help against a name that was there first and is not."""
        self.register("p\u0430ypal")
        self.refused(self.accounts.register("player", "paypal", PASSWORD, HERE), Conflict)

    def test_refused_leaves_nothing(self):
        """A name that looks taken claims nothing of what else it looks like."""
        self.register("bob")
        self.refused(self.accounts.register("player", "\u0412\u041e\u0412", PASSWORD, HERE), Conflict)
        self.register("\u0432\u043e\u0432")

    def test_taken_while_hashing(self):
        """Of two that register one name at once one gets it, the other is told that it is taken."""
        held = Held()
        self.accounts = self.make(PasswordHasher(run_in_thread=held, cost=4))
        one, other = (self.accounts.register("player", name, PASSWORD, HERE) for name in ("paypal", "p\u0430ypal"))
        held.run_one()
        held.run_one()
        self.successResultOf(one)
        self.refused(other, Conflict)

    def test_invalid(self):
        """Bad names and passwords are 100 before anything is asked of database or hasher."""
        for name, password in [("al", PASSWORD), ("a/b/c", PASSWORD), ("alice", "short"), ("alice", "pass\0word")]:
            self.refused(self.accounts.register("player", name, password, HERE), InvalidRequest)
        self.assertEqual((self.database.asked, self.hasher.calls), ([], []))

    def test_nothing_secret_is_kept(self):
        """Neither token nor password are in the database, in any column."""
        token = self.register()

        async def everything(cursor: Any) -> str:
            tables = [await cursor.execute(f"SELECT * FROM {table}") for table in ("accounts", "sessions", "account_skeletons")]
            return repr(tables)

        kept = self.successResultOf(self.database.interact(everything))
        self.assertIn("Alice", kept)
        self.assertNotIn(token, kept)
        self.assertNotIn(PASSWORD, kept)


class LoginTests(AccountsTestCase):
    """Logging in."""

    def test_supersedes(self):
        """A newer log-in answers 105 for the older token, every time, and other accounts are left alone."""
        bobs, first = self.register("bob"), self.register("Alice")
        second = self.login("ALICE")
        self.successResultOf(self.accounts.identify(second))
        for _ in range(3):
            self.refused(self.accounts.identify(first), BadState)
        self.assertIsNone(self.accounts.identify_now(first))
        self.successResultOf(self.accounts.identify(bobs))

    def test_wrong(self):
        """Unknown name, other role, wrong or impossible password: the same 101 after the same work."""
        self.register("Alice")
        told = set()
        for role, name, password in [
            ("player", "Alice", OTHER),
            ("player", "bob", PASSWORD),
            ("developer", "Alice", PASSWORD),
            ("player", "Alice", "short"),
            ("player", "no/name", PASSWORD),
            ("player", "\ud800", "\ud800"),
            ("player", "", ""),
            ("player", "x" * 500_000, "x" * 500_000),
        ]:
            self.hasher.calls.clear()
            told.add(self.refused(self.accounts.login(role, name, password, HERE), Unauthorized).message)
            self.assertEqual(self.hasher.calls, ["verify"])
        self.assertEqual(len(told), 1)

    def test_wrong_supersedes_nothing(self):
        """Somebody who guesses does not end the owner's session."""
        token = self.register()
        self.refused(self.accounts.login("player", "Alice", OTHER, HERE), Unauthorized)
        self.successResultOf(self.accounts.identify(token))

    def test_password_is_prepared(self):
        """It is the same password however the accents are typed."""
        self.successResultOf(self.accounts.register("player", "zoe", "e\u0301clair au chocolat", HERE))
        self.login("zoe", "\u00e9clair au chocolat")

    def test_tries(self):
        """Past so many tries an account's log-ins are 106 without any work, right or wrong; a minute later they are not."""
        self.register()
        self.register("bob")
        self.limits = Limits(login_tries=3)
        for _ in range(3):
            self.refused(self.accounts.login("player", "Alice", OTHER, HERE), Unauthorized)
        self.hasher.calls.clear()
        error = self.refused(self.accounts.login("player", "aLICE", PASSWORD, "192.0.2.2"), RateLimited)
        self.assertEqual((error.retry_after, self.hasher.calls), (20.0, []))
        self.login("bob")
        self.clock.advance(20)
        self.login("Alice")

    def test_tries_of_unknown_names(self):
        """A name that nobody has is limited like one that somebody has."""
        self.limits = Limits(login_tries=1)
        self.refused(self.accounts.login("player", "nobody", OTHER, HERE), Unauthorized)
        self.refused(self.accounts.login("player", "nobody", OTHER, HERE), RateLimited)

    def test_registrations_count_to_the_address(self):
        """Registrations and log-ins of one address share four times an account's tries."""
        self.limits = Limits(login_tries=1)
        for name in ("alice", "bob", "carol"):
            self.register(name)
        self.login("alice")
        self.refused(self.accounts.register("player", "dave", PASSWORD, HERE), RateLimited)
        self.refused(self.accounts.login("player", "bob", PASSWORD, HERE), RateLimited)
        self.successResultOf(self.accounts.register("player", "dave", PASSWORD, "192.0.2.2"))

    def test_hashing_queue(self):
        """When too many wait for hashing, a log-in is 106."""
        self.register()
        held = Held()
        self.accounts = self.make(PasswordHasher(run_in_thread=held, threads=1, queue=1, cost=4))
        for _ in range(2):
            self.assertNoResult(self.accounts.login("player", "Alice", PASSWORD, HERE))
        self.refused(self.accounts.login("player", "Alice", PASSWORD, HERE), RateLimited)

    def test_password_changed_while_verifying(self):
        """A log-in that began with the old password does not end well after it was changed."""
        token = self.register()
        held = Held()
        late = self.make(PasswordHasher(run_in_thread=held, cost=4)).login("player", "Alice", PASSWORD, HERE)
        self.successResultOf(self.accounts.change_password(token, PASSWORD, OTHER, HERE))
        held.run_one()
        self.refused(late, Unauthorized)
        self.successResultOf(self.accounts.identify(token))

    def test_metrics(self):
        """How long each log-in took, well or not."""

        @attrs.define
        class Seconds:
            seen: list[float] = attrs.field(factory=list)

            def observe(self, value: float, /) -> None:
                self.seen.append(value)

        @attrs.define
        class Metrics:
            login_seconds: Seconds = attrs.field(factory=Seconds)

        self.register()
        held, metrics = Held(), Metrics()
        accounts = self.make(PasswordHasher(run_in_thread=held, cost=4), metrics=metrics)
        for password in (PASSWORD, OTHER):
            accounts.login("player", "Alice", password, HERE).addErrback(lambda _: None)
            self.clock.advance(0.25)
            held.run_one()
        self.assertEqual(metrics.login_seconds.seen, [0.25, 0.25])


class NameTakenTests(AccountsTestCase):
    """Guests are nobody's account."""

    def test_taken(self):
        """An account's name in any case and either role, and what looks like it, is not for a guest."""
        self.register("Paypal")
        self.register("dev", "developer")
        for name, taken in [
            ("paypal", True),
            ("PAYPAL", True),
            ("p\u0430ypal", True),
            ("pay\u200dpal", True),
            ("Dev", True),
            ("paypa", False),
            ("Pay Pal!", False),
            ("paypa1", False),
            ("\U0001f600", False),
        ]:
            self.assertIs(self.successResultOf(self.accounts.name_taken(name)), taken, name)
