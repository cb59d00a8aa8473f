"""What operators can count."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from gameroom import __version__
from gameroom.metrics import MOST_SERIES, Metrics

NAMES = {
    "gameroom_connections": "gauge",
    "gameroom_rooms": "gauge",
    "gameroom_members": "gauge",
    "gameroom_masters": "counter",
    "gameroom_divergences": "counter",
    "gameroom_evictions": "counter",
    "gameroom_resyncs": "counter",
    "gameroom_snapshots": "counter",
    "gameroom_turn_seconds": "histogram",
    "gameroom_queued_bytes": "gauge",
    "gameroom_uploads_active": "gauge",
    "gameroom_programs": "gauge",
    "gameroom_requests": "counter",
    "gameroom_login_seconds": "histogram",
    "gameroom_database_seconds": "histogram",
    "gameroom_service_seconds": "histogram",
    "gameroom_service_retries": "counter",
    "gameroom_reactor_lag_seconds": "gauge",
    "gameroom_build_info": "gauge",
    "gameroom_closed": "counter",
}


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()

    def samples(self) -> dict[tuple[str, ...], float]:
        """Every sample as (name, label values in the order of the labels' names) and its value."""
        found = {}
        for family in text_string_to_metric_families(self.metrics.render().decode()):
            for sample in family.samples:
                found[(sample.name, *(sample.labels[label] for label in sorted(sample.labels)))] = sample.value
        return found

    def test_names(self) -> None:
        """Each name of docs/operations.md is there from the start, with its type and a line about it."""
        families = {family.name: family for family in text_string_to_metric_families(self.metrics.render().decode())}
        self.assertEqual({name: families[name].type for name in families if name.startswith("gameroom_")}, NAMES)
        self.assertEqual([name for name in NAMES if not families[name].documentation], [])

    def test_the_process(self) -> None:
        """Memory, CPU and descriptors of the process are told as well."""
        self.assertIn(("process_open_fds",), self.samples())

    def test_build(self) -> None:
        """Which version and which build it is, so that nobody measures another than he thinks."""
        self.assertEqual(self.samples()["gameroom_build_info", "python", __version__], 1)

    def test_connections(self) -> None:
        """Open connections by door, and ends by reason."""
        for _ in range(3):
            self.metrics.connection_opened("lobby")
        self.metrics.connection_closed("lobby", "slow")
        self.assertEqual(self.samples()["gameroom_connections", "lobby"], 2)
        self.assertEqual(self.samples()["gameroom_closed_total", "lobby", "slow"], 1)

    def test_requests(self) -> None:
        """Requests by door, type and status code."""
        self.metrics.request("web", "login", 101)
        self.metrics.request("web", "login", 101)
        self.assertEqual(self.samples()["gameroom_requests_total", "101", "web", "login"], 2)

    def test_uploads(self) -> None:
        """Unfinished uploads are counted at each scrape."""
        self.metrics.uploads = lambda: 3
        self.assertEqual(self.samples()["gameroom_uploads_active",], 3)

    def test_queued(self) -> None:
        """Queued bytes are asked for at each scrape, and summed by door."""
        sizes = [1, 2]
        self.metrics.queued("web", lambda: sizes[0])
        self.metrics.queued("web", lambda: sizes[1])
        self.assertEqual(self.samples()["gameroom_queued_bytes", "web"], 3)
        sizes[0] = 10
        self.assertEqual(self.samples()["gameroom_queued_bytes", "web"], 12)

    def test_rooms(self) -> None:
        """Rooms by status and kind, and all their members."""
        self.metrics.rooms = lambda: [("WAITING", "lockstep", 2), ("WAITING", "lockstep", 0), ("PLAYING", "lockstep", 4)]
        samples = self.samples()
        self.assertEqual(samples["gameroom_rooms", "lockstep", "WAITING"], 2)
        self.assertEqual(samples["gameroom_rooms", "lockstep", "PLAYING"], 1)
        self.assertEqual(samples["gameroom_members",], 6)

    def test_masters(self) -> None:
        """Each master has its time."""
        for _ in range(5):
            self.metrics.turn_seconds.observe(0.1)
        self.assertEqual(self.samples()["gameroom_masters_total",], 5)

    def test_services(self) -> None:
        """What is sent to micro game services once more is a plain number."""
        self.metrics.service_retries += 3
        self.metrics.service_seconds.observe(0.02)
        samples = self.samples()
        self.assertEqual((samples["gameroom_service_retries_total",], samples["gameroom_service_seconds_count",]), (3, 1))

    def test_healing(self) -> None:
        """What is done about divergences is plain numbers too, each its own."""
        self.metrics.divergences, self.metrics.evictions, self.metrics.resyncs, self.metrics.snapshots = 1, 2, 3, 4
        samples = self.samples()
        found = [samples[f"gameroom_{name}_total",] for name in ("divergences", "evictions", "resyncs", "snapshots")]
        self.assertEqual(found, [1, 2, 3, 4])

    def test_lag(self) -> None:
        """The lag is the worst of the last ten seconds, not of all time, and never negative."""
        self.metrics.reactor_lag(0.7)
        self.metrics.reactor_lag(-0.1)
        self.assertEqual(self.samples()["gameroom_reactor_lag_seconds",], 0.7)
        for _ in range(20):
            self.metrics.reactor_lag(0.001)
        self.assertEqual(self.samples()["gameroom_reactor_lag_seconds",], 0.001)

    def test_series_are_bounded(self) -> None:
        """Labels that should never come from strangers cannot fill the memory even if they did."""
        for number in range(MOST_SERIES + 100):
            self.metrics.request("web", f"type-{number}", 0)
        samples = {key: value for key, value in self.samples().items() if key[0] == "gameroom_requests_total"}
        self.assertLessEqual(len(samples), MOST_SERIES + 1)
        self.assertEqual(samples["gameroom_requests_total", "other", "web", "other"], 100)
