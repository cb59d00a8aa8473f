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

    __slots__ = ("_below", "_delay", "_deviations", "_latencies", "_means", "_rates", "_slowest_latencies", "_slowest_rates", "iterations")

    def __init__(self, input_delay: int, seats: int, iterations: int = FIRST_ITERATIONS) -> None:
        self.iterations = iterations
        self._delay = input_delay
        self._below = 0
        self._means = [NOBODY] * seats
        self._deviations = [0.0] * seats
        self._rates = [UNHURRIED] * seats
        self._slowest_latencies = [NOBODY] * seats
        self._slowest_rates = [UNHURRIED] * seats

    def report(self, seat: int, latency: float, framerate: float) -> None:
        """A player's report: round trip in milliseconds, frames a second. From now on it counts."""
        mean = self._means[seat]
        if mean < 0:
            self._means[seat] = self._slowest_latencies[seat] = latency
            self._rates[seat] = self._slowest_rates[seat] = framerate
            return
        off = latency - mean
        self._means[seat] = mean = mean + off * GAIN
        deviation = self._deviations[seat]
        # The deviation is from the mean before this report, as in RFC 6298.
        self._deviations[seat] = deviation = deviation + ((off if off >= 0 else -off) - deviation) * GAIN
        self._slowest_latencies[seat] = mean + 2 * deviation
        rate = self._rates[seat]
        self._rates[seat] = self._slowest_rates[seat] = rate + (framerate - rate) * GAIN

    def leave_out(self, seat: int) -> None:
        """The player is away or dropped: it does not count until its next report, but what it reported is kept."""
        self._slowest_latencies[seat] = NOBODY
        self._slowest_rates[seat] = UNHURRIED

    def next(self) -> int:
        """The `iterations_per_command` of the master that is made now; to be asked once for each."""
        latency = max(self._slowest_latencies)
        if latency < 0:
            return self.iterations
        turn = latency / self._delay
        turn = SHORTEST_TURN if turn < SHORTEST_TURN else min(turn, LONGEST_TURN)
        wanted = floor(turn * min(self._slowest_rates) / 1000 + 0.5) or 1
        if wanted >= self.iterations:
            self.iterations = wanted
            self._below = 0
        else:
            self._below += 1
            if self._below == FALL_AFTER:
                self.iterations -= 1
                self._below = 0
        return self.iterations
