"""gameroom.doors.peers."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.peers import PeerCount, TrustedProxies, address_of


class TrustedProxiesTests(SynchronousTestCase):
    """Whose word on an address counts."""

    def test_nobody_is_trusted_by_default(self) -> None:
        """X-Forwarded-For of a stranger is that stranger's invention."""
        self.assertEqual(TrustedProxies(()).client("192.0.2.1", ["198.51.100.9"]), "192.0.2.1")

    def test_the_last_that_no_proxy_of_ours_wrote(self) -> None:
        """Behind a chain of trusted proxies the address is the one that the outermost of them saw, whatever stands before it."""
        proxies = TrustedProxies(("10.0.0.0/8", "::1"))
        self.assertEqual(proxies.client("10.0.0.1", ["203.0.113.5, 198.51.100.9", "10.2.3.4"]), "198.51.100.9")
        self.assertEqual(proxies.client("::1", ["2001:DB8::1"]), "2001:db8::1")

    def test_all_trusted(self) -> None:
        """Where everybody in the chain is a proxy of ours, the first of them is the client."""
        self.assertEqual(TrustedProxies(("10.0.0.0/8",)).client("10.0.0.1", ["10.0.0.3, 10.0.0.2"]), "10.0.0.3")

    def test_garbage(self) -> None:
        """An entry that is no address ends the search at the last good one."""
        proxies = TrustedProxies(("10.0.0.1",))
        for garbage in ("", "unknown", "198.51.100.9:80", "1.2.3.4, \xff", ",,"):
            self.assertEqual(proxies.client("10.0.0.1", [garbage]), "10.0.0.1", garbage)

    def test_unix(self) -> None:
        """A proxy may speak by a Unix socket."""
        peer = address_of(UNIXAddress(b"/run/web"))
        self.assertEqual(TrustedProxies(("unix",)).client(peer, ["198.51.100.9"]), "198.51.100.9")
        self.assertEqual(TrustedProxies(("10.0.0.1",)).client(peer, ["198.51.100.9"]), peer)

    def test_bad_entry(self) -> None:
        """A configured proxy that is no address is a mistake to be told."""
        self.assertRaises(ValueError, TrustedProxies, ("proxy.example",))


class PeerCountTests(SynchronousTestCase):
    """Connections by address."""

    def test_limit_by_address(self) -> None:
        """Each address has its own count, and a place is free once its connection is gone; saying so twice frees one place."""
        count = PeerCount(lambda: 2)
        first = count.enter("a")
        assert first is not None
        self.assertIsNotNone(count.enter("a"))
        self.assertIsNone(count.enter("a"))
        self.assertIsNotNone(count.enter("b"))
        first()
        first()
        self.assertIsNotNone(count.enter("a"))
        self.assertIsNone(count.enter("a"))

    def test_limit_is_read_anew(self) -> None:
        """A limit that the operator changes counts for the next connection."""
        limit = [0]
        count = PeerCount(lambda: limit[0])
        self.assertIsNone(count.enter("a"))
        limit[0] = 1
        self.assertIsNotNone(count.enter("a"))

    def test_address_of(self) -> None:
        """An address is its host."""
        self.assertEqual(address_of(IPv4Address("TCP", "192.0.2.1", 5)), "192.0.2.1")
