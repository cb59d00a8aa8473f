"""Passwords are hashed slowly, so never in the reactor's thread, and only so many at a time.

bcrypt over the base64 of the password's SHA-256: bcrypt itself takes no more than 72 bytes and none that are NUL.
At cost 12 one takes a quarter of a second of a core, without holding Python's lock.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import bcrypt
from twisted.internet.defer import Deferred, fail, maybeDeferred

from gameroom.errors import BadState, RateLimited
from gameroom.own_threads import OwnThreads
from gameroom.settings import AccountSettings

T = TypeVar("T")

SECONDS_EACH = 0.25
"""About what one password takes: to tell for how long to wait."""


class RunInThread(Protocol):
    """Runs `work()` in some other thread; fires in the reactor's with what it gives."""

    def __call__(self, work: Callable[[], T], /) -> Deferred[T]: ...


class PasswordHasher:
    """Hashes and verifies at most `threads` passwords at a time, while up to `queue` wait.

    >>> hasher = PasswordHasher.in_threads(reactor, AccountSettings())
    """

    def __init__(self, *, run_in_thread: RunInThread, threads: int = 2, queue: int = 64, cost: int = 12) -> None:
        self._run_in_thread = run_in_thread
        self._threads, self._queue, self._cost = threads, queue, cost
        self._running = 0
        self._waiting: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()
        self._stopped = False

    @classmethod
    def in_threads(cls, reactor: Any, settings: AccountSettings) -> PasswordHasher:
        """A hasher with threads of its own, as `[accounts]` says."""
        return cls(
            run_in_thread=OwnThreads(reactor, settings.hashing_threads, "hashing"),
            threads=settings.hashing_threads,
            queue=settings.hashing_queue,
            cost=settings.bcrypt_cost,
        )

    def hash(self, password: str) -> Deferred[str]:
        """Fires with what to keep of a password. Fails with `RateLimited` where too many wait."""
        return self._submit(lambda: bcrypt.hashpw(digest(password), bcrypt.gensalt(self._cost)).decode("ascii"))

    def verify(self, password: str, hashed: str | None) -> Deferred[bool]:
        """Fires with whether it is this password. Fails with `RateLimited` where too many wait.

        `hashed` is None where there is no such account: this takes the same work, and is never right.
        """
        return self._submit(lambda: bcrypt.checkpw(digest(password), (hashed or self._nobody()).encode("ascii")) and hashed is not None)

    def stop(self) -> None:
        """Take no more, and give up those that wait; the few under way come to their end."""
        self._stopped = True
        waiting, self._waiting = self._waiting, deque()
        for _, done in waiting:
            done.errback(_stopping())

    def _nobody(self) -> str:
        # As much work as a real one: a salt of 22 characters and a hash of 31 that no password has.
        return f"$2b${self._cost:02}$" + "." * 53

    def _submit(self, work: Callable[[], T]) -> Deferred[T]:
        if self._stopped:
            return fail(_stopping())
        if self._running >= self._threads and len(self._waiting) >= self._queue:
            wait = max(1.0, (len(self._waiting) + self._running) * SECONDS_EACH / self._threads)
            return fail(RateLimited("too many people are logging in at this moment; try again soon", retry_after=round(wait, 1)))
        done: Deferred[T] = Deferred(self._give_up)
        self._waiting.append((work, done))
        self._run_next()
        return done

    def _run_next(self) -> None:
        while self._waiting and self._running < self._threads:
            work, done = self._waiting.popleft()
            self._running += 1
            running = maybeDeferred(self._run_in_thread, work)
            running.addBoth(self._over, done)

    def _over(self, result: Any, done: Deferred[Any]) -> None:
        self._running -= 1
        self._run_next()
        if not done.called:
            done.callback(result)

    def _give_up(self, cancelled: Deferred[Any]) -> None:
        # What runs already cannot be stopped; its result goes nowhere.
        self._waiting = deque(entry for entry in self._waiting if entry[1] is not cancelled)


def digest(password: str) -> bytes:
    """44 characters of any password."""
    return b64encode(sha256(password.encode("utf-8")).digest())


def _stopping() -> BadState:
    return BadState("the server is going down; try again in a moment")
