"""How fast a lock-step play goes: what its slowest network and its slowest machine can do (docs/protocol/lockstep.md, pace).

Each player reports its round-trip latency and the frame rate that it can hold.
Both are smoothed as TCP smooths its round trips (RFC 6298): a mean, and for the latency twice its mean deviation on top.
"""

from __future__ import annotations

from math import floor, inf
from typing import Final

SHORTEST_TURN, LONGEST_TURN = 50.0, 1000.0
"""Milliseconds."""
FIRST_ITERATIONS: Final = 3
"""Before any report: what a turn of 50 ms is at 60 frames a second."""
FALL_AFTER: Final = 10
"""Generations: it falls by one in so many, and rises at once."""
GAIN: Final = 0.125
NOBODY, UNHURRIED = -1.0, inf
"""The latency and the frame rate of a player who does not count."""


class Pace:
    """The reports of one play's players, by seat, and the `iterations_per_command` that follows."""

    __slots__ = ("_below", "_delay", "_latencies", "_rates", "_smoothed", "iterations")

    def __init__(self, input_delay: int, seats: int, iterations: int = FIRST_ITERATIONS) -> None:
        self.iterations = iterations
        self._delay = input_delay
        self._below = 0
        self._smoothed: list[tuple[float, float, float] | None] = [None] * seats
        """By seat: the latency's mean and mean deviation, and the frame rate, of all that it reported."""
        self._latencies = [NOBODY] * seats
        self._rates = [UNHURRIED] * seats

    def report(self, seat: int, latency: float, framerate: float) -> None:
        """A player's report: round trip in milliseconds, frames a second. From now on it counts."""
        smoothed = self._smoothed[seat]
        if smoothed is None:
            self._smoothed[seat] = latency, 0.0, framerate
            self._latencies[seat], self._rates[seat] = latency, framerate
            return
        mean, deviation, rate = smoothed
        off = latency - mean
        # The deviation is from the mean before this report, as in RFC 6298.
        deviation += ((off if off >= 0 else -off) - deviation) * GAIN
        mean += off * GAIN
        if rate != framerate:
            rate += (framerate - rate) * GAIN
        self._smoothed[seat] = mean, deviation, rate
        self._latencies[seat] = mean + 2 * deviation
        self._rates[seat] = rate

    def leave_out(self, seat: int) -> None:
        """The player is away or dropped: it does not count until its next report, but what it reported is kept."""
        self._latencies[seat] = NOBODY
        self._rates[seat] = UNHURRIED

    def next(self) -> int:
        """The `iterations_per_command` of the master that is made now; to be asked once for each."""
        latency, slowest = NOBODY, UNHURRIED
        for each in self._latencies:
            if each > latency:  # noqa: PLR1730 - once compiled, this is a fifth of a call
                latency = each
        for each in self._rates:
            if each < slowest:  # noqa: PLR1730
                slowest = each
        if latency < 0:
            return self.iterations
        turn = latency / self._delay
        turn = SHORTEST_TURN if turn < SHORTEST_TURN else min(turn, LONGEST_TURN)
        wanted = floor(turn * slowest / 1000 + 0.5) or 1
        if wanted >= self.iterations:
            self.iterations = wanted
            self._below = 0
        else:
            self._below += 1
            if self._below == FALL_AFTER:
                self.iterations -= 1
                self._below = 0
        return self.iterations
