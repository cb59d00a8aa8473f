"""One run: a fresh server, the load on it, and what was seen of both."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import attrs
from generator import Pace, load
from processes import cpu_seconds, resident_bytes, two_cores
from servers import ServerUnderTest, Shape


@attrs.frozen(kw_only=True)
class Figures:
    """What one run showed; times in seconds, sizes in bytes."""

    masters_per_second: float
    masters_per_cpu_second: float
    latency_p50: float
    latency_p99: float
    server_busy: float
    """The part of a core that the server used; 1.0 in closed loop, if it was the bottleneck."""
    load_busy: float
    bytes_per_idle_connection: float
    bytes_per_seated_connection: float
    """The same from a fresh server on, so with its seat and its share of the room."""
    bytes_per_playing_connection: float
    lags: float
    stalls: float

    @property
    def cpu_microseconds(self) -> float:
        """Of the server, for each master that reached a client."""
        return 1e6 / self.masters_per_cpu_second if self.masters_per_cpu_second else 0.0


def run_once(server: ServerUnderTest, program: Path, shape: Shape, pace: Pace) -> Figures:
    """Start the server, play, and measure; raises LoadFailed or RuntimeError where it does not do what it should."""
    server_core, load_core = two_cores()
    try:
        server.start(server_core)
        pids = server.pids()
        fresh = resident_bytes(pids)
        seats = server.seats(shape)
        without = resident_bytes(pids)
        with load(program, server=server, shape=shape, pace=pace, seats=seats, core=load_core) as clients:
            clients.wait_for("connected")
            idle = resident_bytes(pids)
            clients.go()
            clients.wait_for("started")
            clients.wait_for("measuring")
            before = cpu_seconds(pids)
            measured = clients.wait_for("measured")
            used = cpu_seconds(pids) - before
            playing = resident_bytes(pids)
    finally:
        server.stop()
    return Figures(
        masters_per_second=measured["masters"] / measured["seconds"],
        masters_per_cpu_second=measured["masters"] / used,
        latency_p50=measured["latency_p50"],
        latency_p99=measured["latency_p99"],
        server_busy=used / measured["seconds"],
        load_busy=measured["load_cpu"] / measured["seconds"],
        bytes_per_idle_connection=(idle - without) / len(seats),
        bytes_per_seated_connection=(idle - fresh) / len(seats),
        bytes_per_playing_connection=(playing - without) / len(seats),
        lags=measured["lags"],
        stalls=measured["stalls"],
    )


def median_of(runs: Sequence[Figures]) -> Figures:
    """The median of each figure by itself."""
    return Figures(**{field.name: statistics.median(getattr(run, field.name) for run in runs) for field in attrs.fields(Figures)})


def spread_of(runs: Sequence[Figures]) -> float:
    """Highest less lowest rate, as a part of the median."""
    rates = [run.masters_per_second for run in runs]
    return (max(rates) - min(rates)) / statistics.median(rates) if any(rates) else 0.0
