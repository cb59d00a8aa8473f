"""A database for tests that answers when it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gameroom.interfaces import IDatabase
from tests.memory import MemoryDatabase

T = TypeVar("T")


@attrs.frozen
class _Held:
    work: Callable[..., Awaitable[Any]]
    args: tuple[Any, ...]
    done: Deferred[Any]


@implementer(IDatabase)
class HeldDatabase:
    """Holds every interaction back until the test lets it go on, and so shows races.

    What is held has not been run: others, let go first, may change what it will find.
    With `holding = False` it answers as fast as the database that it wraps.

        database = HeldDatabase()
        deferred = database.interact(rooms.insert, room, "node")   # nothing has happened
        database.release()                                         # now it has
    """

    def __init__(self, database: Any = None, *, holding: bool = True) -> None:
        self.database = MemoryDatabase() if database is None else database
        self.holding = holding
        self._held: list[_Held] = []

    @property
    def waiting(self) -> list[str]:
        """The names of the functions that are held, oldest first."""
        return [getattr(held.work, "__name__", repr(held.work)) for held in self._held]

    def release(self, place: int = 0) -> None:
        """Run the oldest held interaction, or the one at this place, and answer it."""
        held = self._held.pop(place)
        self.database.interact(held.work, *held.args).addBoth(held.done.callback)

    def release_all(self) -> None:
        """Run all that is held, oldest first, also what is asked for meanwhile."""
        while self._held:
            self.release()

    def fail(self, error: Exception, place: int = 0) -> None:
        """Fail the oldest held interaction, or the one at this place, without running it."""
        self._held.pop(place).done.errback(error)

    def fail_after_commit(self, error: Exception, place: int = 0) -> None:
        """Run it and fail it all the same, as when the connection is lost while it commits."""
        held = self._held.pop(place)
        self.database.interact(held.work, *held.args).addBoth(lambda _: held.done.errback(error))

    def start(self) -> Deferred[None]:
        """See `IDatabase`."""
        started: Deferred[None] = self.database.start()
        return started

    def interact(self, work: Callable[..., Awaitable[T]], *args: Any) -> Deferred[T]:
        """See `IDatabase`; the Deferred fires at `release`."""
        if not self.holding:
            answered: Deferred[T] = self.database.interact(work, *args)
            return answered
        done: Deferred[T] = Deferred()
        self._held.append(_Held(work, args, done))
        return done

    def check(self) -> Deferred[None]:
        """See `IDatabase`; it is held too."""
        return self.interact(_ask)

    def stop(self) -> Deferred[None]:
        """See `IDatabase`."""
        stopped: Deferred[None] = self.database.stop()
        return stopped


async def _ask(cursor: Any) -> None:
    await cursor.execute("SELECT 1")
