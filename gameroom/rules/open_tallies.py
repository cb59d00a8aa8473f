"""The generations of which hashes were reported and that are not agreed: nearly always a few, and the newest (docs/protocol/lockstep.md, hashes)."""

from __future__ import annotations

from typing import Final

from gameroom.rules.tally import Tally

NEAR: Final = 8
"""So many are found without a hash table."""


class OpenTallies:
    """The tallies that are `open`, one for a generation."""

    __slots__ = ("_far", "_near", "count")

    def __init__(self) -> None:
        self._near = [Tally(-1, 0, 0)] * NEAR
        """Round and round, by generation: the last that was added. It may be open no more."""
        self._far: dict[int, Tally] = {}
        """By generation: those whose place there another one has taken."""
        self.count = 0
        """How many there are."""

    def get(self, about: int) -> Tally | None:
        """That generation's; None where it is not open."""
        tally = self._near[about % NEAR]
        if tally.about == about and tally.open:
            return tally
        return self._far.get(about) if self._far else None

    def add(self, tally: Tally) -> None:
        """It is open from now on; its generation was not."""
        place = tally.about % NEAR
        before = self._near[place]
        if before.open:
            self._far[before.about] = before
        self._near[place] = tally
        tally.open = True
        self.count += 1

    def remove(self, tally: Tally) -> None:
        """It is open no more."""
        tally.open = False
        self.count -= 1
        if self._far:
            self._far.pop(tally.about, None)

    def has_before(self, about: int) -> bool:
        """Whether there is one of an earlier generation."""
        for tally in self._near:
            if tally.open and tally.about < about:
                return True
        return bool(self._far) and any(earlier < about for earlier in self._far)

    def listed(self) -> list[Tally]:
        """All of them, by generation."""
        near = [tally for tally in self._near if tally.open]
        return sorted([*near, *self._far.values()], key=_about)


def _about(tally: Tally) -> int:
    return tally.about
