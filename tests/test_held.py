"""The doubles that others' tests stand on do what they say."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.interfaces import ICursor
from tests.held import HeldDatabase


async def create(cursor: ICursor) -> None:
    await cursor.execute("CREATE TABLE things (k INTEGER)")


async def insert(cursor: ICursor, key: int) -> int:
    await cursor.execute("INSERT INTO things VALUES (:k)", {"k": key})
    return key


async def keys(cursor: ICursor) -> list[int]:
    return [k for (k,) in await cursor.execute("SELECT k FROM things")]


class HeldTests(SynchronousTestCase):
    """`HeldDatabase`."""

    def setUp(self) -> None:
        self.held = HeldDatabase()
        self.successResultOf(self.held.database.interact(create))

    def kept(self) -> list[int]:
        return self.successResultOf(self.held.database.interact(keys))

    def test_release(self) -> None:
        """Nothing happens before its release; the order is the test's to choose."""
        first, second = self.held.interact(insert, 1), self.held.interact(insert, 2)
        self.assertNoResult(first)
        self.assertEqual((self.held.waiting, self.kept()), (["insert", "insert"], []))
        self.held.release(1)
        self.assertEqual((self.successResultOf(second), self.kept()), (2, [2]))
        self.held.release_all()
        self.assertEqual((self.successResultOf(first), self.kept(), self.held.waiting), (1, [2, 1], []))

    def test_fail(self) -> None:
        """One may be failed without or after being run, or fail by itself."""
        before, after, wrong = self.held.interact(insert, 1), self.held.interact(insert, 2), self.held.interact(insert)
        self.held.fail(LookupError())
        self.held.fail_after_commit(LookupError())
        self.held.release()
        for deferred, kind in ((before, LookupError), (after, LookupError), (wrong, TypeError)):
            self.failureResultOf(deferred, kind)
        self.assertEqual(self.kept(), [2])

    def test_not_holding(self) -> None:
        """It can be told to answer at once."""
        self.held.holding = False
        self.assertEqual(self.successResultOf(self.held.interact(insert, 1)), 1)
        self.successResultOf(self.held.check())
