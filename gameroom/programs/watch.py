"""Whether a program keeps to what it may use: what no limit of the kernel's bounds is looked at, a few times a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred

from gameroom.programs.processes import Processes, Use

INTERVAL: Final = 0.25
"""Seconds between two looks: what a program can take in this time is more than it may have, by as much."""
CORES: Final = 1.0
SURPLUS: Final = 10.0
"""Seconds of processor time that a program may have had beyond those that one core gives."""
COUNTED_WITHIN: Final = 2.0
"""Seconds that a program may hold up whoever counts its memory. Past it what its processes share counts for each of them."""
_MIB: Final = 1 << 20

InThread = Callable[[Callable[[], int]], Deferred[int]]
"""Has something called in a thread, when one is free; fires with what it gives."""


@attrs.define(kw_only=True, eq=False)
class Watch:
    """Looks at one program. `now` is in seconds, of a clock that does not jump.

    >>> watch = Watch(processes=processes, memory_mb=256, now=clock.seconds(), in_thread=OwnThreads(reactor, 4, "counting"))
    >>> watch.look(clock.seconds())  # a quarter of a second later
    'used more than its 256 MB of memory'
    """

    processes: Processes
    memory_mb: int
    now: float
    in_thread: InThread
    _counting: _Count | None = None
    _before: Use | None = None
    _surplus: float = 0.0

    def look(self, now: float) -> str | None:
        """Why the program is to be ended; None where it is not."""
        use = self.processes.use()
        if use is None:
            return None
        before, self._before = self._before, use
        took, self.now = now - self.now, now
        self._surplus = max(0.0, self._surplus + _spent(before, use) - CORES * took)
        most = self.memory_mb * _MIB
        # What its processes share is in `resident` for each of them, and finding out costs: only where it matters.
        if use.resident + use.files <= most:
            if self._counting is not None and self._counting.bytes is not None:
                # It is of an earlier time.
                self._counting = None
        elif self._counted(now, use.resident) + use.files > most:
            return f"used more than its {self.memory_mb} MB of memory"
        if self._surplus > SURPLUS:
            return "used more than one core for too long"
        return None

    def _counted(self, now: float, at_most: int) -> int:
        """Its memory as it was counted since the last look, or `at_most` where it lets nobody count; 0 while it is being counted."""
        counting = self._counting
        if counting is None or counting.bytes is not None:
            self._counting = following = _Count(self.processes.counter())
            self.in_thread(following.run).addCallbacks(following.done, following.failed)
            return 0 if counting is None or counting.bytes is None else counting.bytes
        return at_most if counting.lasts(now) > COUNTED_WITHIN else 0


class _Count:
    """One count of a program's memory."""

    def __init__(self, counter: Callable[[], int]) -> None:
        self._counter = counter
        self._begun = False
        self._since: float | None = None
        self.bytes: int | None = None
        """What came of it."""

    def run(self) -> int:
        """In a thread."""
        self._begun = True
        return self._counter()

    def done(self, found: int) -> None:
        self.bytes = found

    def failed(self, failure: Any) -> None:
        # It is gone, or its memory is counted anew at the next look.
        self.bytes = 0

    def lasts(self, now: float) -> float:
        """Seconds since it was seen under way first; until then it waits for a thread, which is not this program's doing."""
        if self._since is None:
            if not self._begun:
                return 0.0
            self._since = now
        return now - self._since


def _spent(before: Use | None, now: Use) -> float:
    """Seconds of processor time between two looks.

    What a process has used goes over to its parent where that waits for it, and is lost where nobody does: the larger of what both ways tell.
    """
    if before is None:
        return sum(now.own.values())
    by_all = sum(now.own.values()) + now.waited - sum(before.own.values()) - before.waited
    by_each = sum(max(0.0, seconds - before.own.get(pid, 0.0)) for pid, seconds in now.own.items())
    return max(by_all, by_each)
