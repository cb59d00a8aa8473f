"""What a program may use, and when it is ended for it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.programs.processes import Use
from gameroom.programs.watch import Watch

MIB = 1 << 20
TOO_MUCH = "used more than its 64 MB of memory"


class Double:
    """Processes that use what the test says."""

    def __init__(self) -> None:
        self.used: Use | None = None
        self.really = 0
        self.asked = 0

    def use(self) -> Use | None:
        return self.used

    def counter(self) -> Callable[[], int]:
        def count() -> int:
            self.asked += 1
            return self.really

        return count

    def signal(self, number: int) -> bool:
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError

    def gone(self) -> bool:
        raise NotImplementedError


def use(own: dict[int, float] | None = None, waited: float = 0.0, resident: int = 0, files: int = 0) -> Use:
    return Use(own=own or {}, waited=waited, resident=resident, files=files)


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.processes = Double()
        self.counts: list[tuple[Callable[[], int], Deferred[int]]] = []
        self.watch = Watch(processes=self.processes, memory_mb=64, now=0.0, in_thread=self.in_thread)

    def in_thread(self, count: Callable[[], int]) -> Deferred[int]:
        self.counts.append((count, Deferred()))
        return self.counts[-1][1]

    def count(self) -> None:
        """A thread does what waits for it."""
        count, done = self.counts.pop(0)
        done.callback(count())

    def look(self, now: float, used: Use | None) -> str | None:
        self.processes.used = used
        return self.watch.look(now)

    def test_nothing_yet(self) -> None:
        """Before its processes are there, nothing is wrong."""
        self.assertIsNone(self.look(0.25, None))

    def test_memory(self) -> None:
        """Memory and what lies in its own folders count together; what is shared is counted once, and asked for only where it matters."""
        self.assertIsNone(self.look(0.25, use(resident=60 * MIB)))
        self.assertEqual(self.counts, [])
        self.processes.really = 30 * MIB
        self.assertIsNone(self.look(0.5, use(resident=70 * MIB)))
        self.count()
        self.assertIsNone(self.look(0.75, use(resident=70 * MIB, files=34 * MIB)))
        self.count()
        self.assertEqual(self.look(1.0, use(resident=70 * MIB, files=35 * MIB)), TOO_MUCH)
        self.assertEqual(self.processes.asked, 2)

    def test_counted_elsewhere(self) -> None:
        """Counting waits for the program, and nobody waits for that: a look only asks for it, once, and never counts itself."""
        for quarter in range(1, 100):
            self.assertIsNone(self.look(quarter / 4, use(resident=70 * MIB)))
        self.assertEqual((self.processes.asked, len(self.counts)), (0, 1))

    def test_held_up(self) -> None:
        """Who lets nobody count is ended by what it may have; to wait for a thread is not its doing."""
        for quarter in range(1, 100):
            self.assertIsNone(self.look(quarter / 4, use(resident=70 * MIB)))
        count, _ = self.counts[0]
        count()
        ends = [self.look(quarter / 4, use(resident=70 * MIB)) for quarter in range(100, 110)]
        self.assertEqual(ends, [None] * 9 + [TOO_MUCH])

    def test_count_of_an_earlier_time(self) -> None:
        """What it had once is not held against it later."""
        self.processes.really = 70 * MIB
        self.look(0.25, use(resident=70 * MIB))
        self.count()
        self.assertIsNone(self.look(0.5, use(resident=10 * MIB)))
        self.assertIsNone(self.look(9.5, use(resident=70 * MIB)))
        self.count()
        self.assertEqual(self.look(9.75, use(resident=70 * MIB)), TOO_MUCH)

    def test_count_failed(self) -> None:
        """A count that fails is made once more."""
        self.look(0.25, use(resident=70 * MIB))
        self.counts.pop(0)[1].errback(OSError("gone"))
        self.assertIsNone(self.look(0.5, use(resident=70 * MIB)))
        self.processes.really = 70 * MIB
        self.count()
        self.assertEqual(self.look(0.75, use(resident=70 * MIB)), TOO_MUCH)

    def test_one_core_for_ever(self) -> None:
        """A program may keep one core busy."""
        for second in range(1, 200):
            self.assertIsNone(self.look(float(second), use(own={2: float(second)})))

    def test_two_cores(self) -> None:
        """Two are too many after a while, and a burst of several is not."""
        for second in range(1, 11):
            self.assertIsNone(self.look(float(second), use(own={2: 2.0 * second})))
        self.assertEqual(self.look(11.0, use(own={2: 22.0})), "used more than one core for too long")

    def test_short_lived(self) -> None:
        """The time of children counts when they are gone as well, and is not counted twice."""
        self.look(1.0, use(own={2: 0.0, 3: 1.0}))
        self.look(2.0, use(own={2: 0.0, 4: 2.0}, waited=1.0))
        self.assertEqual(self.watch._surplus, 1.0)

    def test_lost_children(self) -> None:
        """Children whose time nobody takes over count while they are seen."""
        ended = [self.look(second * 1.0, use(own={2: 0.0, 100 + second: 2.0})) for second in range(1, 13)]
        self.assertEqual(ended[-1], "used more than one core for too long")
