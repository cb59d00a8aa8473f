"""The packets of the window: who has sent what for the generations that are not mastered yet.

With an input delay D these are the next generation g and the D - 1 after it (docs/protocol/lockstep.md, generations).
This is the hot path of the product: lists by seat, no object for a packet.
"""

from __future__ import annotations

from collections.abc import Collection


class Gathering:
    """The window of one play. Lists are by seat; a seat that nobody has is as one that does not count.

    An entry is what a player adds to a master, `b""` where that is nothing.
    """

    __slots__ = ("_counting", "_entries", "_first", "_missing", "_opened", "_seats", "delay", "generation", "needed")

    def __init__(self, *, delay: int, seats: int, counting: Collection[int], generation: int, now: float) -> None:
        self.delay = delay
        self.generation = generation
        """The next to be mastered."""
        self._seats = seats
        self._counting = [seat in counting for seat in range(seats)]
        self.needed = len(counting)
        """How many seats count."""
        # By generation modulo the delay.
        self._entries: list[list[bytes | None]] = [[None] * seats for _ in range(delay)]
        """By seat: what was sent."""
        self._missing = [self.needed] * delay
        """How many packets are awaited."""
        self._first: list[float | None] = [None] * delay
        """When the first packet came."""
        self._opened = now

    def put(self, seat: int, generation: int, entry: bytes, now: float) -> bool | None:
        """Hold a packet of a seat that counts. Whether it leaves a gap before it; None for one that was held already."""
        place = generation % self.delay
        entries = self._entries[place]
        if entries[seat] is not None:
            return None
        entries[seat] = entry
        self._missing[place] -= 1
        if self._first[place] is None:
            self._first[place] = now
        return generation > self.generation and self._entries[place - 1][seat] is None

    def put_ahead(self, seat: int, generation: int, entry: bytes) -> None:
        """Hold a packet of a seat that will count from a later generation on."""
        entries = self._entries[generation % self.delay]
        if entries[seat] is None:
            entries[seat] = entry

    def holds(self, seat: int, generation: int) -> bool:
        """Whether there is a packet for a generation of the window."""
        return self._entries[generation % self.delay][seat] is not None

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

    def complete(self) -> bool:
        """Whether everybody who counts has sent the next generation's packet; also where nobody counts."""
        return not self._missing[self.generation % self.delay]

    def awaited(self) -> list[int]:
        """The seats whose packets for the next generation are missing."""
        entries = self._entries[self.generation % self.delay]
        return [seat for seat in range(self._seats) if self._counting[seat] and entries[seat] is None]

    def waiting_since(self) -> float | None:
        """Since when somebody waits for others with the next generation; None while nobody does."""
        place = self.generation % self.delay
        first = self._first[place]
        return None if first is None or not self._missing[place] else max(first, self._opened)

    def first_came(self) -> float | None:
        """When the next generation's first packet came; None while there is none."""
        return self._first[self.generation % self.delay]

    def forgo(self) -> None:
        """The next generation is complete without the packets that are missing."""
        self._missing[self.generation % self.delay] = 0

    def reopen(self, now: float) -> None:
        """Nobody could wait for anybody up to now."""
        self._opened = now

    def close(self, now: float) -> tuple[list[bytes], float]:
        """The next generation is mastered: its entries by seat, and the seconds since its first packet."""
        place = self.generation % self.delay
        entries = [entry for entry in self._entries[place] if entry]
        first = self._first[place]
        self._entries[place] = [None] * self._seats
        self._missing[place] = self.needed
        self._first[place] = None
        self._opened = now
        self.generation += 1
        return entries, 0.0 if first is None else now - first

    def count(self, seat: int, counts: bool, now: float) -> None:
        """The seat counts from the next generation on, with what is held of it; or no longer, and what is held of it is forgotten."""
        self._counting[seat] = counts
        self.needed = sum(self._counting)
        if not counts:
            for entries in self._entries:
                entries[seat] = None
        for place, entries in enumerate(self._entries):
            held = [entries[other] is not None for other in range(self._seats) if self._counting[other]]
            self._missing[place] = held.count(False)
            if True not in held:
                self._first[place] = None
            elif self._first[place] is None:
                self._first[place] = now
