"""gameroom.accounts: who holds a token, until when, and who hears that it has ended."""

from __future__ import annotations

from typing import Any

from gameroom.errors import BadState, Forbidden, InvalidRequest, NotFound, RateLimited, Unauthorized
from gameroom.hashing import PasswordHasher
from gameroom.settings import AccountSettings, Limits
from tests.accounts import DAY, HERE, HOUR, OTHER, PASSWORD, AccountsTestCase
from tests.hashing import Held
from tests.held import HeldDatabase


class IdentifyTests(AccountsTestCase):
    """Whose token is it?"""

    def test_none(self):
        """Without a token: 101, and what to do."""
        for token in (None, ""):
            self.assertIn("log in", self.refused(self.accounts.identify(token), Unauthorized).message)

    def test_unknown(self):
        """A token that was never issued: 101; nonsense does not reach the database."""
        self.refused(self.accounts.identify("x" * 43), Unauthorized)
        self.database.asked.clear()
        for token in ("é" * 43, "\ud800", "x" * 100_000):
            self.refused(self.accounts.identify(token), Unauthorized)
            self.assertIsNone(self.accounts.identify_now(token))
        self.assertEqual(self.database.asked, [])

    def test_role(self):
        """A token of the other role: 102; None takes both."""
        token = self.register("dev", "developer")
        self.refused(self.accounts.identify(token), Forbidden)
        self.assertIsNone(self.accounts.identify_now(token))
        self.successResultOf(self.accounts.identify(token, "developer"))
        self.successResultOf(self.accounts.identify(token, None))

    def test_from_memory(self):
        """The database is asked once for a token, good or superseded, and `identify_now` never asks."""
        first, second = self.register(), self.login()
        self.database.asked.clear()
        self.assertIsNone(self.accounts.identify_now(second))
        session = self.successResultOf(self.accounts.identify(second))
        self.refused(self.accounts.identify(first), BadState)
        self.assertEqual(self.database.asked, ["session", "session"])
        self.assertEqual(self.accounts.identify_now(second), session)
        self.successResultOf(self.accounts.identify(second))
        self.refused(self.accounts.identify(first), BadState)
        self.assertEqual(self.database.asked, ["session", "session"])

    def test_bounded_memory(self):
        """With room for two sessions, three are good all the same."""
        self.accounts = self.make(remembered=2)
        tokens = [self.register(name) for name in ("alice", "bob", "carol")]
        for token in tokens + tokens:
            self.successResultOf(self.accounts.identify(token))
        self.assertIsNone(self.accounts.identify_now(tokens[0]))

    def test_restart(self):
        """New accounts on the same database know all tokens, good and superseded."""
        first, second = self.register(), self.login()
        self.accounts = self.make()
        self.assertEqual(self.successResultOf(self.accounts.identify(second)).account.username, "Alice")
        self.refused(self.accounts.identify(first), BadState)

    def test_expires(self):
        """A token that nobody uses is unknown after 30 days, in memory and out of it."""
        token = self.register()
        self.clock.advance(30 * DAY - 1)
        self.accounts.identify_now(token)
        self.clock.advance(1)
        self.refused(self.accounts.identify(token), Unauthorized)
        self.refused(self.make().identify(token), Unauthorized)

    def test_slides(self):
        """A token that is used every 29 days lives on, also over restarts."""
        token = self.register()
        for _ in range(4):
            self.clock.advance(29 * DAY)
            self.successResultOf(self.accounts.identify(token))
            self.accounts = self.make()

    def test_slides_from_memory(self):
        """One that is only ever answered from memory lives on too."""
        token = self.register()
        self.successResultOf(self.accounts.identify(token))
        for _ in range(4):
            self.clock.advance(29 * DAY)
            self.assertIsNotNone(self.accounts.identify_now(token))
        self.accounts = self.make()
        self.successResultOf(self.accounts.identify(token))

    def test_written_hourly(self):
        """Sliding is written once an hour at most, however often a token is used."""
        token = self.register()
        self.clock.advance(1)
        self.successResultOf(self.accounts.identify(token))
        self.database.asked.clear()
        for _ in range(4 * 60):
            self.clock.advance(60)
            self.successResultOf(self.accounts.identify(token))
        self.assertEqual(self.database.asked, ["extend_session"] * 4)

    def test_database_fails_while_sliding(self):
        """That a session cannot be written down is logged, and the request goes on."""
        token = self.register()
        self.successResultOf(self.accounts.identify(token))
        self.clock.advance(2 * HOUR)
        self.database.failure = OSError("disk full")
        self.successResultOf(self.accounts.identify(token))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_database_fails(self):
        """What the database cannot tell is no verdict on the token: the error goes up, and later it is good."""
        token = self.register()
        self.database.failure = OSError("disk full")
        self.failureResultOf(self.accounts.identify(token), OSError)
        self.database.failure = None
        self.successResultOf(self.accounts.identify(token))

    def test_superseded_until_it_would_have_expired(self):
        """The old token is 105, used or not, until its 30 days are over, and 101 from then on."""
        first = self.register()
        self.clock.advance(DAY)
        self.login()
        self.clock.advance(29 * DAY - 1)
        self.refused(self.accounts.identify(first), BadState)
        self.refused(self.make().identify(first), BadState)
        self.clock.advance(1)
        self.refused(self.accounts.identify(first), Unauthorized)
        self.refused(self.make().identify(first), Unauthorized)

    def test_old_ones_are_cleared_away(self):
        """A log-in removes what has expired of the account, so that its sessions do not pile up for ever."""
        self.register()
        self.login()
        self.clock.advance(31 * DAY)
        self.login()

        async def kept(cursor: Any) -> int:
            [[number]] = await cursor.execute("SELECT COUNT(*) FROM sessions")
            return int(number)

        self.assertEqual(self.successResultOf(self.database.interact(kept)), 1)

    def test_configured_lifetime(self):
        """`session_seconds` is what a session lives."""
        self.accounts = self.make(settings=AccountSettings(session_seconds=100.0))
        token = self.register()
        for _ in range(4):
            self.clock.advance(90)
            self.successResultOf(self.accounts.identify(token))
        self.clock.advance(100)
        self.refused(self.accounts.identify(token), Unauthorized)

    def test_superseded_while_it_was_read(self):
        """A session that was read as good before a log-in, and arrives after it, is read again: no stale answer stays."""
        first = self.register()
        self.database.late = True
        answer = self.accounts.identify(first)
        self.database.late = False
        second = self.login()
        self.database.answers[0]()
        self.refused(answer, BadState)
        self.refused(self.accounts.identify(first), BadState)
        self.successResultOf(self.accounts.identify(second))

    def test_forget(self):
        """Told that an account was changed by something else, it asks the database."""
        token = self.register()
        session = self.successResultOf(self.accounts.identify(token))
        elsewhere = self.make()
        self.successResultOf(elsewhere.login("player", "Alice", PASSWORD, HERE))
        self.successResultOf(self.accounts.identify(token))
        self.accounts.forget(session.account.account_id)
        self.refused(self.accounts.identify(token), BadState)


class EndTests(AccountsTestCase):
    """Logging out, changing the password, suspending, and who hears of it."""

    def setUp(self):
        super().setUp()
        self.token = self.register("Alice")
        self.session = self.successResultOf(self.accounts.identify(self.token))
        self.ended: list[str] = []
        self.stop = self.accounts.watch_end(self.session, lambda: self.ended.append("Alice"))

    def test_logout(self):
        """The token is unknown from then on, here and after a restart; logging out again is 101."""
        self.successResultOf(self.accounts.logout(self.token))
        self.refused(self.accounts.identify(self.token), Unauthorized)
        self.refused(self.make().identify(self.token), Unauthorized)
        self.refused(self.accounts.logout(self.token), Unauthorized)
        self.refused(self.accounts.logout(None), Unauthorized)
        self.assertEqual(self.ended, ["Alice"])
        self.login()

    def test_logout_of_a_superseded_one(self):
        """A token that was superseded cannot log anybody out, and stays superseded."""
        second = self.login()
        self.refused(self.accounts.logout(self.token), BadState)
        self.refused(self.accounts.identify(self.token), BadState)
        self.successResultOf(self.accounts.identify(second))

    def test_change_password(self):
        """The old password is not one any more, the new one is, and the session that asked goes on."""
        self.successResultOf(self.accounts.change_password(self.token, PASSWORD, OTHER, HERE))
        self.successResultOf(self.accounts.identify(self.token))
        self.assertEqual(self.ended, [])
        self.refused(self.accounts.login("player", "Alice", PASSWORD, HERE), Unauthorized)
        self.login("Alice", OTHER)

    def test_change_password_refused(self):
        """Wrong old, bad new, no token: nothing changes."""
        for token, old, new, error in [
            (self.token, OTHER, OTHER, Unauthorized),
            (self.token, "short", OTHER, Unauthorized),
            (self.token, PASSWORD, "short", InvalidRequest),
            ("x" * 43, PASSWORD, OTHER, Unauthorized),
            (None, PASSWORD, OTHER, Unauthorized),
        ]:
            self.refused(self.accounts.change_password(token, old, new, HERE), error)
        self.login("Alice", PASSWORD)

    def test_change_password_counts(self):
        """Guessing the old password is as limited as guessing at log-in, and they add up."""
        self.limits = Limits(login_tries=2)
        self.refused(self.accounts.login("player", "Alice", OTHER, HERE), Unauthorized)
        self.refused(self.accounts.change_password(self.token, OTHER, OTHER, HERE), Unauthorized)
        self.refused(self.accounts.change_password(self.token, PASSWORD, OTHER, HERE), RateLimited)

    def test_superseded_while_it_changes_the_password(self):
        """Whoever is superseded while their new password is hashed has not changed it."""
        held = Held()
        late = self.make(PasswordHasher(run_in_thread=held, cost=4)).change_password(self.token, PASSWORD, OTHER, HERE)
        held.run_one()
        self.login()
        held.run_one()
        self.refused(late, BadState)
        self.login("Alice", PASSWORD)

    def test_changed_twice_at_once(self):
        """Of two changes from the same old password the first holds."""
        held = Held()
        accounts = self.make(PasswordHasher(run_in_thread=held, cost=4))
        changes = [accounts.change_password(self.token, PASSWORD, new, HERE) for new in (OTHER, "third password")]
        while held.work:
            held.run_one()
        self.successResultOf(changes[0])
        self.refused(changes[1], Unauthorized)
        self.login("Alice", OTHER)

    def test_suspend(self):
        """A suspended account is 102 at once, at log-in only with the right password; opened again, its token is good."""
        self.successResultOf(self.accounts.suspend("player", "ALICE"))
        self.assertEqual(self.ended, ["Alice"])
        self.refused(self.accounts.identify(self.token), Forbidden)
        self.refused(self.accounts.login("player", "Alice", PASSWORD, HERE), Forbidden)
        self.refused(self.accounts.login("player", "Alice", OTHER, HERE), Unauthorized)
        self.refused(self.make().identify(self.token), Forbidden)
        self.successResultOf(self.accounts.suspend("player", "Alice", suspended=False))
        self.successResultOf(self.accounts.identify(self.token))

    def test_suspend_unknown(self):
        """Nobody of this name and role: 103."""
        self.refused(self.accounts.suspend("developer", "Alice"), NotFound)
        self.refused(self.accounts.suspend("player", "no such"), NotFound)

    def test_watch_superseded(self):
        """Who watches hears once that the session is superseded, and when they do the token is 105 already."""
        seen = []
        self.accounts.watch_end(self.session, lambda: seen.append(self.failureResultOf(self.accounts.identify(self.token), BadState)))
        self.login()
        self.login()
        self.assertEqual((self.ended, len(seen)), (["Alice"], 1))

    def test_stop_watching(self):
        """Who stopped hears nothing, and stopping again does no harm."""
        self.stop()
        self.stop()
        self.login()
        self.assertEqual(self.ended, [])

    def test_others_end(self):
        """Who watches one session hears nothing of another account's, nor of a developer of the same name."""
        self.register("bob")
        self.login("bob")
        self.register("Alice", "developer")
        self.login("Alice", role="developer")
        self.assertEqual(self.ended, [])

    def test_ended_before_it_is_watched(self):
        """Who begins to watch a session that has ended meanwhile hears it at once."""
        self.login()
        late: list[str] = []
        self.accounts.watch_end(self.session, lambda: late.append("late"))
        self.assertEqual(late, ["late"])

    def test_watched_while_forgotten(self):
        """That a session is not in memory is no reason to call it ended."""
        self.accounts.forget(self.session.account.account_id)
        self.accounts.watch_end(self.session, lambda: self.ended.append("wrong"))
        self.assertEqual(self.ended, [])

    def test_forget_tells_watchers(self):
        """When another node has superseded a session, this one's watchers hear it once the database has answered."""
        self.successResultOf(self.make().login("player", "Alice", PASSWORD, HERE))
        self.assertEqual(self.ended, [])
        self.accounts.forget(self.session.account.account_id)
        self.assertEqual(self.ended, ["Alice"])

    def test_lost_while_it_commits(self):
        """A log-in that failed but was written has superseded the older token all the same."""
        database = HeldDatabase(self.database, holding=False)
        accounts = self.make(database=database)
        session = self.successResultOf(accounts.identify(self.token))
        accounts.watch_end(session, lambda: self.ended.append("heard"))
        database.holding = True
        login = accounts.login("player", "Alice", PASSWORD, HERE)
        database.release()
        self.assertEqual(database.waiting, ["begin_session"])
        database.fail_after_commit(OSError("connection lost"))
        database.release_all()
        self.failureResultOf(login, OSError)
        database.holding = False
        self.assertEqual(self.ended, ["heard"])
        self.refused(accounts.identify(self.token), BadState)

    def test_failing_watcher(self):
        """A watcher that fails is logged; the others hear, and the log-in goes well."""
        self.accounts.watch_end(self.session, self.fail)
        self.accounts.watch_end(self.session, lambda: self.ended.append("second"))
        self.login()
        self.assertEqual(self.ended, ["Alice", "second"])
        self.assertEqual(len(self.flushLoggedErrors(self.failureException)), 1)
