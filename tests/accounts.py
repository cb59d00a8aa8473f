"""Accounts for tests: a clock that stands, threads that are none, and a database whose answers can be late."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom.accounts import Accounts
from gameroom.errors import GameroomError
from gameroom.hashing import PasswordHasher
from gameroom.interfaces import IDatabase
from gameroom.settings import Limits
from tests.hashing import CountingHasher
from tests.memory import MemoryDatabase

DAY = 86400.0
HOUR = 3600.0
HERE = "192.0.2.1"
PASSWORD = "correct horse"
OTHER = "battery staple"


def random_bytes() -> Callable[[int], bytes]:
    """Bytes that never repeat."""
    numbers = count()
    return lambda size: sha256(str(next(numbers)).encode()).digest()[:size]


@implementer(IDatabase)
class LateDatabase:
    """Does at once what it is asked to, and counts; while `late`, its answers wait in `answers` for the test."""

    def __init__(self) -> None:
        self._database = MemoryDatabase()
        self.asked: list[str] = []
        self.late = False
        self.answers: list[Callable[[], object]] = []
        self.failure: Exception | None = None

    def interact(self, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.asked.append(work.__name__)
        if self.failure is not None:
            work, args = self._fail, ()
        done = self._database.interact(work, *args)
        if not self.late:
            return done
        held: Deferred[Any] = Deferred()
        self.answers.append(lambda: done.chainDeferred(held))
        return held

    async def _fail(self, cursor: object) -> None:
        assert self.failure is not None
        raise self.failure

    def start(self) -> Deferred[None]:
        return self._database.start()

    def check(self) -> Deferred[None]:
        return self._database.check()

    def stop(self) -> Deferred[None]:
        return self._database.stop()


class AccountsTestCase(SynchronousTestCase):
    """A database, a clock at a round moment, and accounts on them."""

    def setUp(self):
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.database = LateDatabase()
        self.hasher = CountingHasher()
        self.limits = Limits(login_tries=1000)
        self.random_bytes = random_bytes()
        self.accounts = self.make()

    def make(self, hasher: PasswordHasher | None = None, **options: Any) -> Accounts:
        return Accounts(
            database=options.pop("database", self.database),
            hasher=hasher or self.hasher,
            clock=self.clock,
            random_bytes=self.random_bytes,
            limits=lambda: self.limits,
            **options,
        )

    def register(self, name: str = "Alice", role: str = "player") -> str:
        return self.successResultOf(self.accounts.register(role, name, PASSWORD, HERE))

    def login(self, name: str = "Alice", password: str = PASSWORD, role: str = "player") -> str:
        return self.successResultOf(self.accounts.login(role, name, password, HERE))

    def refused(self, deferred: Deferred[Any], error: type[GameroomError]) -> Any:
        """The error; its message is for a person."""
        caught = self.failureResultOf(deferred, error).value
        self.assertRegex(caught.message, r"^[^.]{10,}$")
        return caught
