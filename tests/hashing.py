"""Threads for a `PasswordHasher` that are none, and one that counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

from gameroom.hashing import PasswordHasher, RunInThread

T = TypeVar("T")

COST = 4
"""The least that bcrypt knows: a thousandth of a second."""


def at_once(work: Callable[[], T]) -> Deferred[T]:
    """Work that is done before its Deferred is seen."""
    return maybeDeferred(work)


class Held:
    """Work that is done when the test says so."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, work: Callable[[], T], /) -> Deferred[T]:
        done: Deferred[T] = Deferred()
        self.work.append((work, done))
        return done

    def run_one(self) -> None:
        work, done = self.work.pop(0)
        maybeDeferred(work).chainDeferred(done)


class CountingHasher(PasswordHasher):
    """Notes what it is asked for: `hash`, or `verify`; the work is the same."""

    def __init__(self, run_in_thread: RunInThread = at_once) -> None:
        super().__init__(run_in_thread=run_in_thread, cost=COST)
        self.calls: list[str] = []

    def hash(self, password: str) -> Deferred[str]:
        self.calls.append("hash")
        return super().hash(password)

    def verify(self, password: str, hashed: str | None) -> Deferred[bool]:
        self.calls.append("verify")
        return super().verify(password, hashed)
