"""What a process uses: CPU time in seconds, memory in bytes; and on which core it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path


def pin(pid: int, core: int | None) -> None:
    """Keep a process that has just been started on one core."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


def two_cores() -> tuple[int | None, int | None]:
    """One core for the server and another for the load; without two nothing is pinned, and figures mean little."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[-1]) if len(cores) > 1 else (None, None)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of all threads of these processes so far."""
    return sum(time.clock_gettime(_cpu_clock(pid)) for pid in pids)


def _cpu_clock(pid: int) -> int:
    """The clock id of another process's CPU time, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def resident_bytes(pids: Iterable[int]) -> int:
    """What these processes hold in memory."""
    return sum(_resident(pid) for pid in pids)


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
