"""Whether a program keeps to what it may use: what no limit of the kernel's bounds is looked at, a few times a second."""

from __future__ import annotations

from typing import Final

import attrs

from gameroom.programs.processes import Processes, Use

INTERVAL: Final = 0.25
"""Seconds between two looks: what a program can take in this time is more than it may have, by as much."""
CORES: Final = 1.0
SURPLUS: Final = 10.0
"""Seconds of processor time that a program may have had beyond those that one core gives."""
_MIB: Final = 1 << 20


@attrs.define(kw_only=True, eq=False)
class Watch:
    """Looks at one program. `now` is in seconds, of a clock that does not jump.

    >>> watch = Watch(processes=processes, memory_mb=256, now=clock.seconds())
    >>> watch.look(clock.seconds())  # a quarter of a second later
    'used more than its 256 MB of memory'
    """

    processes: Processes
    memory_mb: int
    now: float
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
        if use.resident + use.files > most and self.processes.exactly() + use.files > most:
            return f"used more than its {self.memory_mb} MB of memory"
        if self._surplus > SURPLUS:
            return "used more than one core for too long"
        return None


def _spent(before: Use | None, now: Use) -> float:
    """Seconds of processor time between two looks.

    What a process has used goes over to its parent where that waits for it, and is lost where nobody does: the larger of what both ways tell.
    """
    if before is None:
        return sum(now.own.values())
    by_all = sum(now.own.values()) + now.waited - sum(before.own.values()) - before.waited
    by_each = sum(max(0.0, seconds - before.own.get(pid, 0.0)) for pid, seconds in now.own.items())
    return max(by_all, by_each)
