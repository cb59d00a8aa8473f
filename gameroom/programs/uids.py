"""User numbers for programs where the daemon runs as root: one of its own for each, that is nobody's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

RANGES: Final = ((2_000_000_000, 100_000_000), (60_578, 606))
"""The first number, and how many. No distribution and no systemd gives these to anybody.

The second is for containers, whose numbers end at 65,535.
"""


class Uids:
    """Hands them out. A number that was given back is not given again soon."""

    def __init__(self, ranges: tuple[tuple[int, int], ...] = RANGES, *, start: int = 0) -> None:
        """`start` is where to begin, anywhere: daemons on one machine are not to begin with the same."""
        self._ranges = ranges
        self._next = start
        self._taken: set[int] = set()

    @classmethod
    def here(cls) -> Uids:
        """Those that there are in this daemon's user namespace."""
        maps = [_mapped(Path(f"/proc/self/{kind}_map")) for kind in ("uid", "gid")]
        ranges = tuple(
            (first, count) for first, count in RANGES if all(any(low <= first and first + count <= high for low, high in each) for each in maps)
        )
        return cls(ranges[:1], start=os.getpid() * 997)

    @property
    def some(self) -> bool:
        """Whether there are any at all."""
        return bool(self._ranges)

    def take(self) -> int | None:
        """None where there is none left."""
        for first, count in self._ranges:
            for _ in range(min(count, len(self._taken) + 1)):
                uid = first + self._next % count
                self._next += 1
                if uid not in self._taken:
                    self._taken.add(uid)
                    return uid
        return None

    def give_back(self, uid: int) -> None:
        self._taken.discard(uid)


def _mapped(path: Path) -> list[tuple[int, int]]:
    """The numbers that there are: from, and up to."""
    rows = [[int(word) for word in line.split()] for line in path.read_text().splitlines()]
    return [(first, first + count) for first, _, count in rows]
