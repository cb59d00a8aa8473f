"""How fast a lock-step play goes: what its slowest network and its slowest machine can do (docs/protocol/lockstep.md, pace).

Each player reports its round-trip latency and the frame rate that it can hold.
Both are smoothed as TCP smooths its round trips (RFC 6298): a mean, and for the latency twice its mean deviation on top.
"""

from __future__ import annotations

from math import floor, inf
from typing import Final

SHORTEST_TURN: Final = 50.0
LONGEST_TURN: Final = 1000.0
"""Milliseconds."""
FIRST_ITERATIONS: Final = 3
"""Before any report: what a turn of 50 ms is at 60 frames a second."""
FALL_AFTER: Final = 10
"""Generations: it falls by one in so many, and rises at once."""
GAIN: Final = 0.125
NOBODY: Final = -1.0
UNHURRIED: Final = inf
"""The latency and the frame rate of a player who does not count."""


class _Player:
    """What one player has reported, and what counts of it."""

    __slots__ = ("deviation", "framerate", "latency", "mean", "rate", "reported")

    def __init__(self) -> None:
        self.reported = False
        """Whether it has; before, there is nothing to smooth."""
        self.mean = 0.0
        self.deviation = 0.0
        """The latency's mean deviation."""
        self.rate = 0.0
        self.latency = NOBODY
        self.framerate = UNHURRIED


class Pace:
    """The reports of one play's players, by seat, and the `iterations_per_command` that follows."""

    __slots__ = ("_below", "_delay", "_players", "iterations")

    def __init__(self, input_delay: int, seats: int, iterations: int = FIRST_ITERATIONS) -> None:
        self.iterations = iterations
        self._delay = input_delay
        self._below = 0
        self._players = [_Player() for _ in range(seats)]

    def report(self, seat: int, latency: float, framerate: float) -> None:
        """A player's report: round trip in milliseconds, frames a second. From now on it counts."""
        player = self._players[seat]
        if player.reported:
            mean, deviation, rate = player.mean, player.deviation, player.rate
            off = latency - mean
            # The deviation is from the mean before this report, as in RFC 6298.
            deviation += ((off if off >= 0 else -off) - deviation) * GAIN
            mean += off * GAIN
            if rate != framerate:
                rate += (framerate - rate) * GAIN
        else:
            player.reported = True
            mean, deviation, rate = latency, 0.0, framerate
        player.mean, player.deviation, player.rate = mean, deviation, rate
        player.latency = mean + 2.0 * deviation
        player.framerate = rate

    def leave_out(self, seat: int) -> None:
        """The player is away or dropped: it does not count until its next report, but what it reported is kept."""
        player = self._players[seat]
        player.latency, player.framerate = NOBODY, UNHURRIED

    def next(self) -> int:
        """The `iterations_per_command` of the master that is made now; to be asked once for each."""
        latency, slowest = NOBODY, UNHURRIED
        for player in self._players:
            if player.latency > latency:  # noqa: PLR1730 - once compiled, this is a fifth of a call
                latency = player.latency
            if player.framerate < slowest:  # noqa: PLR1730
                slowest = player.framerate
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
