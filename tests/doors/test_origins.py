"""gameroom.doors.origins."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.origins import may_come_from


class OriginTests(SynchronousTestCase):
    """Which pages may open a socket."""

    def test_same_host(self) -> None:
        """A page from the host and port that it asks may; ports that a scheme implies are the same as written ones."""
        for origin, host in [
            ("http://play.example:8080", "play.example:8080"),
            ("http://play.example", "play.example"),
            ("https://play.example", "play.example"),
            ("https://play.example", "play.example:443"),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080"),
            ("http://PLAY.example:8080", "play.EXAMPLE:8080"),
            ("http://localhost:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080", "localhost:8080"),
        ]:
            self.assertTrue(may_come_from(origin, host, ()), (origin, host))

    def test_others(self) -> None:
        """Another host, port, an opaque origin and garbage may not."""
        for origin, host in [
            ("http://evil.example:8080", "play.example:8080"),
            ("http://play.example:8081", "play.example:8080"),
            ("http://play.example.evil.example", "play.example"),
            ("null", "play.example"),
            ("null", "null"),
            ("file://", "play.example"),
            ("", "play.example"),
            ("http://", ""),
            ("http://play.example:99999", "play.example:99999"),
            ("http://[", "["),
            ("chrome-extension://play.example", "play.example"),
            ("http://localhost:8080", "192.0.2.1:8080"),
        ]:
            self.assertFalse(may_come_from(origin, host, ()), (origin, host))

    def test_configured(self) -> None:
        """Configured origins may, whatever their case; `null` may not even then."""
        allowed = ("https://Games.example/", "null")
        self.assertTrue(may_come_from("https://games.example", "play.example", allowed))
        self.assertFalse(may_come_from("http://games.example", "play.example", allowed))
        self.assertFalse(may_come_from("null", "play.example", allowed))
