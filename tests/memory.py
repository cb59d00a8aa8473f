"""A database for tests that answers at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gameroom.interfaces import IDatabase
from gameroom.store import migrations
from gameroom.store.sqlite import Engine

T = TypeVar("T")


@implementer(IDatabase)
class MemoryDatabase:
    """Real SQL on the real schema, in memory, in this thread: its Deferreds have fired already.

    It is ready when it is made; `start` may be called but need not.
    A store that always answers at once hides races: see `tests.held.HeldDatabase` for those.
    """

    def __init__(self) -> None:
        self._engine = Engine(":memory:")
        self._engine.open()
        self._engine.migrate(migrations.ours())

    def start(self) -> Deferred[None]:
        """See `IDatabase`."""
        return succeed(None)

    def interact(self, work: Callable[..., Awaitable[T]], *args: Any) -> Deferred[T]:
        """See `IDatabase`."""
        [outcome] = self._engine.run([(work, args)])
        return succeed(outcome.result) if outcome.failure is None else fail(outcome.failure)

    def check(self) -> Deferred[None]:
        """See `IDatabase`."""
        return self.interact(_ask)

    def stop(self) -> Deferred[None]:
        """See `IDatabase`; what it held is gone."""
        self._engine.close()
        return succeed(None)


async def _ask(cursor: Any) -> None:
    await cursor.execute("SELECT 1")
