"""gameroom.own_threads"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event, get_ident

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.own_threads import OwnThreads


class StandingReactor(MemoryReactorClock):
    """Gives what threads hand back to the test."""

    def __init__(self) -> None:
        super().__init__()
        self.back: list[Callable[[], object]] = []

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.back.append(partial(callable, *args, **kwargs))

    def shut_down(self) -> None:
        """End the pools, whose work is done then."""
        for trigger in self.triggers.get("after", {}).get("shutdown", []):
            trigger[0](*trigger[1], **trigger[2])


class OwnThreadsTests(SynchronousTestCase):
    """With a reactor that stands still: what the threads hand back is run here."""

    def setUp(self) -> None:
        self.reactor = StandingReactor()

    def test_elsewhere(self) -> None:
        """Work is done in a thread of the pool, its result comes back through the reactor, and shutdown ends the pool."""
        threads = OwnThreads(self.reactor, 2, "testing")
        idents, sums = threads(get_ident), threads(lambda *numbers: sum(numbers), 1, 2, 3)
        self.assertNoResult(sums)
        self.reactor.shut_down()
        for call in self.reactor.back:
            call()
        self.assertNotEqual(self.successResultOf(idents), get_ident())
        self.assertEqual(self.successResultOf(sums), 6)

    def test_no_more_than_there_are(self) -> None:
        """What comes while all threads are at work waits for one of them, and pools do not wait for each other."""
        first, second = OwnThreads(self.reactor, 1, "first"), OwnThreads(self.reactor, 1, "second")
        begun, go_on, later = Event(), Event(), Event()

        def long() -> None:
            begun.set()
            go_on.wait(30)

        first(long)
        first(later.set)
        self.assertTrue(begun.wait(30))
        other = Event()
        second(other.set)
        self.assertTrue(other.wait(30))
        self.assertFalse(later.is_set())
        go_on.set()
        self.reactor.shut_down()
        self.assertTrue(later.is_set())

    def test_no_thread_without_work(self) -> None:
        """A pool that nobody uses has no threads and leaves nothing to stop."""
        OwnThreads(self.reactor, 2, "testing")
        self.assertEqual(self.reactor.triggers, {})
