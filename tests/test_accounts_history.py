"""gameroom.accounts: any history of registering, logging in and out, waiting and restarting."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.accounts import Accounts
from gameroom.errors import BadState, Conflict, Forbidden, GameroomError, NotFound, Unauthorized
from gameroom.settings import AccountSettings, Limits
from tests.accounts import HERE, OTHER, PASSWORD, random_bytes
from tests.hashing import CountingHasher
from tests.memory import MemoryDatabase


@attrs.define
class Known:
    """What the model knows of an account."""

    password: str
    current: str | None = None
    suspended: bool = False


class AccountsMachine(RuleBasedStateMachine):
    """Any history of two names in two roles, against a dict; with a memory so small that it forgets all the time."""

    tokens = Bundle("tokens")
    who = st.tuples(st.sampled_from(["player", "developer"]), st.sampled_from(["alice", "Bob"]))
    passwords = st.sampled_from([PASSWORD, OTHER])

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.database, self.hasher = Clock(), MemoryDatabase(), CountingHasher()
        self.random_bytes = random_bytes()
        self.known: dict[tuple[str, str], Known] = {}
        self.owner: dict[str, tuple[str, str]] = {}
        self.expires: dict[str, float] = {}
        self.gone: set[str] = set()
        self.watched: dict[str, list[list[str]]] = {}
        self.restart()

    @rule()
    def restart(self) -> None:
        self.accounts = Accounts(
            database=self.database,
            hasher=self.hasher,
            clock=self.clock,
            random_bytes=self.random_bytes,
            settings=AccountSettings(session_seconds=240.0),
            limits=lambda: Limits(login_tries=10**6),
            remembered=2,
        )
        self.watched.clear()

    def outcome(self, deferred: Deferred[Any]) -> Any:
        """The result, or the class of the error."""
        results: list[Any] = []
        deferred.addCallbacks(results.append, lambda failure: results.append(type(failure.value)))
        return results[0]

    def begin(self, who: tuple[str, str], token: str) -> str:
        self.known[who].current = token
        self.owner[token] = who
        self.expires[token] = self.clock.seconds() + 240
        return token

    @rule(target=tokens, who=who, password=passwords)
    def register(self, who: tuple[str, str], password: str) -> str:
        outcome = self.outcome(self.accounts.register(*who, password, HERE))
        if who in self.known:
            assert outcome is Conflict
            return "never issued"
        self.known[who] = Known(password)
        return self.begin(who, outcome)

    @rule(target=tokens, who=who, password=passwords)
    def login(self, who: tuple[str, str], password: str) -> str:
        outcome = self.outcome(self.accounts.login(who[0], who[1].swapcase(), password, HERE))
        account = self.known.get(who)
        if account is None or account.password != password:
            assert outcome is Unauthorized
            return "never issued"
        if account.suspended:
            assert outcome is Forbidden
            return "never issued"
        return self.begin(who, outcome)

    def expected(self, token: str) -> type[GameroomError] | None:
        """What a token is worth now."""
        if token not in self.owner or token in self.gone or self.clock.seconds() >= self.expires[token]:
            return Unauthorized
        account = self.known[self.owner[token]]
        if account.current != token:
            return BadState
        return Forbidden if account.suspended else None

    def slide(self, token: str) -> None:
        """A good token was used: it lives on, in steps of a 24th of its life."""
        if self.clock.seconds() + 240 - self.expires[token] >= 10:
            self.expires[token] = self.clock.seconds() + 240

    @rule(token=tokens, now=st.booleans(), role=st.sampled_from(["player", None]))
    def identify(self, token: str, now: bool, role: str | None) -> None:
        expected = self.expected(token)
        outcome: Any = self.accounts.identify_now(token, role) if now else self.outcome(self.accounts.identify(token, role))
        if expected is None and role is not None and self.owner[token][0] != role:
            expected = Forbidden
        if expected is None and not (now and outcome is None):
            self.slide(token)
            assert (outcome.account.role, outcome.account.username) == self.owner[token]
        else:
            assert outcome in ((None,) if now else (expected,))

    @rule(token=tokens)
    def watch(self, token: str) -> None:
        outcome = self.outcome(self.accounts.identify(token, None))
        if self.expected(token) is None:
            self.slide(token)
            calls: list[str] = []
            self.watched.setdefault(token, []).append(calls)
            self.accounts.watch_end(outcome, lambda: calls.append(token))

    @rule(token=consumes(tokens))
    def logout(self, token: str) -> None:
        expected = self.expected(token)
        assert self.outcome(self.accounts.logout(token)) is expected
        if expected is None:
            self.gone.add(token)

    @rule(token=tokens, old=passwords, new=passwords)
    def change_password(self, token: str, old: str, new: str) -> None:
        expected = self.expected(token)
        outcome = self.outcome(self.accounts.change_password(token, old, new, HERE))
        if expected is not None:
            assert outcome is expected
            return
        self.slide(token)
        account = self.known[self.owner[token]]
        assert outcome is (None if account.password == old else Unauthorized)
        if outcome is None:
            account.password = new

    @rule(who=who, suspended=st.booleans())
    def suspend(self, who: tuple[str, str], suspended: bool) -> None:
        outcome = self.outcome(self.accounts.suspend(*who, suspended))
        if who in self.known:
            self.known[who].suspended = suspended
        assert outcome is (None if who in self.known else NotFound)

    @rule(seconds=st.sampled_from([1, 9, 10, 100, 230, 240]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        # Nobody is told of a session that ran out; the model stops looking at it.
        self.watched = {token: watches for token, watches in self.watched.items() if self.clock.seconds() < self.expires[token]}

    def teardown(self) -> None:
        for token, watches in self.watched.items():
            for calls in watches:
                if self.expected(token) is None:
                    assert len(calls) in (0, 1)
                else:
                    assert len(calls) == 1


class AccountsMachineTests(SynchronousTestCase):
    """The same for any history."""

    def test_any_history(self):
        """Register, log in and out, change passwords, suspend, wait and restart in any order: tokens are worth what lobby.md says."""
        run_state_machine_as_test(AccountsMachine, settings=hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None))
