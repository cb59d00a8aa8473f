"""What operators can count: plain attributes that cost next to nothing where things happen, made into Prometheus' text when it asks.

See docs/operations.md for what each name means.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gameroom import __version__
from gameroom.build import build
from gameroom.histogram import Histogram

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

TURN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)
LOGIN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SERVICE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
DATABASE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

MOST_SERIES = 500
"""Labels come from tables of ours; should one ever come from a stranger, it stops growing here."""


class Metrics(Collector):
    """Everything that is counted, for one daemon. A door that is given none counts nothing."""

    def __init__(self) -> None:
        self.divergences = self.evictions = self.resyncs = self.snapshots = 0
        """Plays that diverged, players evicted, states given to players who had another, and good snapshots of players."""
        self.turn_seconds = Histogram(TURN_BUCKETS)
        """Of each lock-step master that was made."""
        self.login_seconds = Histogram(LOGIN_BUCKETS)
        self.database_seconds = Histogram(DATABASE_BUCKETS)
        self.service_seconds = Histogram(SERVICE_BUCKETS)
        self.service_retries = 0
        """Updates that were sent to a micro game service once more."""
        self.rooms: Callable[[], Iterable[tuple[str, str, int]]] = tuple
        """Gives status, hosting and number of members of each room; asked at each scrape."""
        self.uploads: Callable[[], int] = int
        """Gives the number of uploads that are begun and not finished; asked at each scrape."""
        self.programs: Callable[[], int] = int
        """Gives the number of games' programs that run; asked at each scrape."""
        self._connections: Counter[str] = Counter()
        self._closed: Counter[tuple[str, ...]] = Counter()
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._carried_out: dict[str, Counter[str]] = {}
        self._queued: list[tuple[str, Callable[[], int]]] = []
        self._lags: deque[float] = deque(maxlen=20)

    def connection_opened(self, door: str) -> None:
        self._connections[door] += 1

    def connection_closed(self, door: str, reason: str) -> None:
        """`reason` is a word or two of ours, never of a stranger."""
        self._connections[door] -= 1
        self._count(self._closed, (door, reason))

    def request(self, door: str, kind: str, code: int) -> None:
        """A request was answered; `kind` is its declared type."""
        self._count(self._requests, (door, kind, str(code)))

    def carried_out(self, door: str) -> Counter[str]:
        """By declared type, how many requests of a door were answered with code 0: for doors of many requests, which count there themselves."""
        return self._carried_out.setdefault(door, Counter())

    def queued(self, door: str, count: Callable[[], int]) -> None:
        """`count()` tells at each scrape how many bytes wait for slow readers of a door."""
        self._queued.append((door, count))

    def reactor_lag(self, seconds: float) -> None:
        """So much later than asked was the reactor's periodic call. The worst of the last 20 is told."""
        self._lags.append(max(0.0, seconds))

    def render(self) -> bytes:
        """All of it in Prometheus' text format, with the process's own figures."""
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """One family for each name, whether or not anything was counted."""
        yield from self._doors()
        yield from self._rooms()
        masters = CounterMetricFamily("gameroom_masters", "Master packets made by lock-step rooms.")
        masters.add_metric([], self.turn_seconds.count)
        yield masters
        yield from self._healing()
        uploads = GaugeMetricFamily("gameroom_uploads_active", "Uploads that are begun and not finished.")
        uploads.add_metric([], self.uploads())
        yield uploads
        programs = GaugeMetricFamily("gameroom_programs", "Programs of games that run.")
        programs.add_metric([], self.programs())
        yield programs
        yield family_of(self.turn_seconds, "gameroom_turn_seconds", "From a generation's first command packet to its master.")
        yield family_of(self.login_seconds, "gameroom_login_seconds", "From a log-in's arrival to its answer.")
        yield family_of(self.database_seconds, "gameroom_database_seconds", "From asking for a transaction to its being durable.")
        yield family_of(self.service_seconds, "gameroom_service_seconds", "From an update to the answer of its micro game service.")
        retries = CounterMetricFamily("gameroom_service_retries", "Updates sent once more to a micro game service.")
        retries.add_metric([], self.service_retries)
        yield retries
        lag = GaugeMetricFamily("gameroom_reactor_lag_seconds", "How late the reactor was at worst in the last ten seconds.")
        lag.add_metric([], max(self._lags, default=0.0))
        yield lag
        about = GaugeMetricFamily("gameroom_build_info", "Which version runs, and whether it is compiled.", labels=["version", "build"])
        about.add_metric([__version__, build()], 1)
        yield about

    def _healing(self) -> Iterator[Metric]:
        for name, about, count in (
            ("divergences", "Divergences of lock-step plays.", self.divergences),
            ("evictions", "Players evicted after a divergence.", self.evictions),
            ("resyncs", "Divergences that ended with one state for all.", self.resyncs),
            ("snapshots", "Good snapshots that players gave.", self.snapshots),
        ):
            family = CounterMetricFamily(f"gameroom_{name}", about)
            family.add_metric([], count)
            yield family

    def _doors(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily("gameroom_connections", "Open connections.", labels=["door"])
        for door, count in self._connections.items():
            connections.add_metric([door], count)
        yield connections
        queued: Counter[str] = Counter()
        for door, ask in self._queued:
            queued[door] += ask()
        waiting = GaugeMetricFamily("gameroom_queued_bytes", "Bytes that wait for slow readers.", labels=["door"])
        for door, size in queued.items():
            waiting.add_metric([door], size)
        yield waiting
        requests = CounterMetricFamily("gameroom_requests", "Requests answered, by type and status code.", labels=["door", "type", "code"])
        counted = Counter(self._requests)
        for door, kinds in self._carried_out.items():
            counted.update({(door, kind, "0"): count for kind, count in kinds.items()})
        for labels, count in counted.items():
            requests.add_metric(labels, count)
        yield requests
        closed = CounterMetricFamily("gameroom_closed", "Connections that ended, and why.", labels=["door", "reason"])
        for ended, count in self._closed.items():
            closed.add_metric(ended, count)
        yield closed

    def _rooms(self) -> Iterator[Metric]:
        counts: Counter[tuple[str, str]] = Counter()
        seated = 0
        for status, hosting, members in self.rooms():
            counts[status, hosting] += 1
            seated += members
        rooms = GaugeMetricFamily("gameroom_rooms", "Living rooms.", labels=["status", "hosting"])
        for labels, count in counts.items():
            rooms.add_metric(labels, count)
        yield rooms
        members_of = GaugeMetricFamily("gameroom_members", "Members of all living rooms.")
        members_of.add_metric([], seated)
        yield members_of

    @staticmethod
    def _count(counter: Counter[tuple[str, ...]], labels: tuple[str, ...]) -> None:
        if labels not in counter and len(counter) >= MOST_SERIES:
            labels = (labels[0], *["other"] * (len(labels) - 1))
        counter[labels] += 1


def family_of(histogram: Histogram, name: str, about: str) -> HistogramMetricFamily:
    """A histogram as Prometheus is given it."""
    family = HistogramMetricFamily(name, about)
    family.add_metric([], histogram.buckets(), histogram.total)
    return family
