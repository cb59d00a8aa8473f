"""The packets of the window: who has sent what for the generations that are not mastered yet.

With an input delay D these are the next generation g and the D - 1 after it (docs/protocol/lockstep.md, generations).
This is the hot path of the product: lists by seat, no object for a packet.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import Final

NEVER: Final = inf
"""When something comes that has not come."""


class _Turn:
    """The packets of one generation."""

    __slots__ = ("first", "missing", "said")

    def __init__(self, seats: int, missing: int) -> None:
        self.said: list[bytes | None] = [None] * seats
        """By seat: what was sent."""
        self.missing = missing
        """How many packets are awaited."""
        self.first = NEVER
        """When the first packet came."""


class Gathering:
    """The window of one play. Lists are by seat; a seat that nobody has is as one that does not count.

    Of a packet its commands are held, as a master has them, `b""` where there are none.
    """

    __slots__ = ("_counting", "_nobodys", "_opened", "_turns", "delay", "generation", "needed")

    def __init__(self, *, delay: int, seats: int, counting: Collection[int], generation: int, now: float) -> None:
        self.delay = delay
        self.generation = generation
        """The next to be mastered."""
        self._nobodys: list[bytes | None] = [None] * seats
        """What a turn begins with."""
        self._counting = [seat in counting for seat in range(seats)]
        self.needed = len(counting)
        """How many seats count."""
        self._turns = [_Turn(seats, self.needed) for _ in range(delay)]
        """By generation modulo the delay."""
        self._opened = now

    def put(self, seat: int, generation: int, commands: bytes, now: float) -> bool | None:
        """Hold a packet of a seat that counts. Whether it leaves a gap before it; None for one that was held already."""
        place = generation % self.delay
        turn = self._turns[place]
        said = turn.said
        if said[seat] is not None:
            return None
        said[seat] = commands
        turn.missing -= 1
        if turn.first == NEVER:
            turn.first = now
        return generation > self.generation and self._turns[place - 1].said[seat] is None

    def put_ahead(self, seat: int, generation: int, commands: bytes) -> None:
        """Hold a packet of a seat that will count from a later generation on."""
        said = self._turns[generation % self.delay].said
        if said[seat] is None:
            said[seat] = commands

    def holds(self, seat: int, generation: int) -> bool:
        """Whether there is a packet for a generation of the window."""
        return self._turns[generation % self.delay].said[seat] is not None

    def gap(self, seat: int, generation: int) -> range:
        """The generations without a packet just before that one."""
        first = generation
        while first > self.generation and not self.holds(seat, first - 1):
            first -= 1
        return range(first, generation)

    def newest(self, seat: int) -> int:
        """The newest generation up to which a seat that counts has sent everything."""
        newest = self.generation - 1
        while newest < self.generation + self.delay - 1 and self.holds(seat, newest + 1):
            newest += 1
        return newest

    def _next(self) -> _Turn:
        return self._turns[self.generation % self.delay]

    def complete(self) -> bool:
        """Whether everybody who counts has sent the next generation's packet; also where nobody counts."""
        return not self._next().missing

    def awaited(self) -> list[int]:
        """The seats whose packets for the next generation are missing."""
        said = self._next().said
        return [seat for seat, counts in enumerate(self._counting) if counts and said[seat] is None]

    def waiting_since(self) -> float | None:
        """Since when somebody waits for others with the next generation; None while nobody does."""
        turn = self._next()
        return None if turn.first == NEVER or not turn.missing else max(turn.first, self._opened)

    def first_came(self) -> float | None:
        """When the next generation's first packet came; None while there is none."""
        turn = self._next()
        return None if turn.first == NEVER else turn.first

    def forgo(self) -> None:
        """The next generation is complete without the packets that are missing."""
        self._next().missing = 0

    def reopen(self, now: float) -> None:
        """Nobody could wait for anybody up to now."""
        self._opened = now

    def close(self, now: float) -> tuple[list[bytes | None], float]:
        """The next generation is mastered: what was sent for it, by seat, and the seconds since its first packet."""
        turn = self._next()
        said = turn.said
        waited = 0.0 if turn.first == NEVER else now - turn.first
        turn.said = self._nobodys.copy()
        turn.missing = self.needed
        turn.first = NEVER
        self._opened = now
        self.generation += 1
        return said, waited

    def count(self, seat: int, counts: bool, now: float) -> None:
        """The seat counts from the next generation on, with what is held of it; or no longer, and what is held of it is forgotten."""
        self._counting[seat] = counts
        self.needed = sum(self._counting)
        for turn in self._turns:
            if not counts:
                turn.said[seat] = None
            held = [sent is not None for sent, other in zip(turn.said, self._counting, strict=True) if other]
            turn.missing = held.count(False)
            if True not in held:
                turn.first = NEVER
            elif turn.first == NEVER:
                turn.first = now
