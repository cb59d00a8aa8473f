"""gameroom.memory: what the C library is told, and by whom."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from types import SimpleNamespace
from typing import Any
from unittest import SkipTest
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from gameroom.memory import KEPT, OWN_PAGES, YOUNG, keep_freed, look_less_for_cycles

FAULTS = """
import resource
from gameroom.memory import keep_freed
if {keep}: assert keep_freed({{}})
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    for _ in range(50):
        a, b = bytes(350_000), bytes(260_000)
        del a, b
work()
before = faults()
work()
print(faults() - before)
"""


class KeepFreedTests(SynchronousTestCase):
    def test_what_is_asked(self) -> None:
        """Both thresholds are set; where one cannot be, or there is none, that is told."""
        asked: list[tuple[int, ...]] = []

        def mallopt(*args: int) -> int:
            asked.append(args)
            return 1

        self.assertTrue(keep_freed({}, SimpleNamespace(mallopt=mallopt)))
        self.assertEqual(asked, [(-1, KEPT), (-3, OWN_PAGES)])
        self.assertFalse(keep_freed({}, SimpleNamespace(mallopt=lambda *args: 0)))
        self.assertFalse(keep_freed({}, SimpleNamespace()))

    def test_operators_know_better(self) -> None:
        """What stands in the environment stays as it is."""
        for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
            self.assertFalse(keep_freed({name: "1"}, SimpleNamespace(mallopt=self.fail)))

    def test_real(self) -> None:
        """Large pieces that come and go need no new pages; that is seen in a process of its own."""
        if not hasattr(ctypes.CDLL(None), "mallopt"):
            raise SkipTest("another C library")
        kept, given_back = (int(subprocess.check_output([sys.executable, "-c", FAULTS.format(keep=keep)])) for keep in (True, False))
        self.assertLess(kept, 100)
        self.assertGreater(given_back, 1000)


class CyclesTests(SynchronousTestCase):
    def test_left_alone(self) -> None:
        """What there is is left alone, cycles that come are found all the same, and fewer looks are taken at them."""
        before = gc.get_threshold()
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.set_threshold, *before)
        look_less_for_cycles()
        self.assertGreater(gc.get_freeze_count(), 10_000)
        self.assertEqual(gc.get_threshold(), (YOUNG, *before[1:]))
        gone = ref(own := Odd())
        own.itself = own
        del own
        self.assertIsNotNone(gone())
        gc.collect()
        self.assertIsNone(gone())


class Odd:
    itself: Any = None
