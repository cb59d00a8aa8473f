"""What a process uses: CPU time in seconds, memory in bytes; and on which core it runs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def start_on(core: int | None, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a program that stays on one core, with every thread that it will ever have; `options` are those of `Popen`."""
    usual = os.sched_getaffinity(0)
    # A child is where its parent is. Only afterwards would miss the threads that it starts at once, as Node does.
    os.sched_setaffinity(0, usual if core is None else {core})
    try:
        return subprocess.Popen(command, **options)
    finally:
        os.sched_setaffinity(0, usual)


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
