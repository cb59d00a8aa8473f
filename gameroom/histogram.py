"""Counts of seconds by bucket, as Prometheus has them. It is by itself so that it can be compiled: each master is counted."""

from __future__ import annotations

from collections.abc import Iterable


class Histogram:
    """How often something took up to so many seconds; `bounds` rise."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Iterable[float]) -> None:
        self._bounds: list[float] = [*bounds]
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0
        """All seconds together."""

    def observe(self, seconds: float) -> None:
        """Count one that took so many seconds."""
        place = 0
        # Nearly all are in the first buckets.
        for bound in self._bounds:
            if seconds <= bound:
                break
            place += 1
        self._counts[place] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, int]]:
        """Each bound as Prometheus writes it, and how many took so long at most."""
        found: list[tuple[str, int]] = []
        count = 0
        for bound, more in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            count += more
            found.append((bound, count))
        return found
