"""How servers are named."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.servers import address_of, endpoint_of, name_of


class ServerTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """A host alone has the door's port."""
        for text, expected in (
            ("play.example", ("play.example", 7000)),
            ("play.example:7100", ("play.example", 7100)),
            ("192.0.2.1", ("192.0.2.1", 7000)),
            ("192.0.2.1:1", ("192.0.2.1", 1)),
            ("[2001:db8::1]:7100", ("2001:db8::1", 7100)),
            ("[::1]", ("::1", 7000)),
            ("::1", ("::1", 7000)),
            ("tls:play.example:7100", None),
            ("unix:/run/gameroom", None),
        ):
            self.assertEqual(address_of(text, 7000), expected, text)

    def test_no_servers(self) -> None:
        """It says how to write one."""
        for text in ("", " ", "a b", "[::1", "[]", "a/b", "play.example:0", "play.example:65536", "play.example:99999"):
            error = self.assertRaises(ValueError, endpoint_of, text, 7000, MemoryReactorClock())
            self.assertRegex(str(error), "write host, host:port|ports are 1 to 65535")

    def test_endpoint_strings_that_are_none(self) -> None:
        for text in ("nonsense:1:2", "tcp:", "tls:host", "tcp:host:port"):
            error = self.assertRaises(ValueError, endpoint_of, text, 7000, MemoryReactorClock())
            self.assertIn("write host, host:port", str(error))

    def test_endpoints(self) -> None:
        """Names, addresses, and Twisted's endpoint strings."""
        reactor: Any = MemoryReactorClock()
        self.assertIsInstance(endpoint_of("play.example", 7000, reactor), HostnameEndpoint)
        self.assertIsInstance(endpoint_of("[::1]:7100", 7000, reactor), HostnameEndpoint)
        self.assertIsInstance(endpoint_of("tcp:play.example:7100", 7000, reactor), TCP4ClientEndpoint)
        self.assertIsInstance(endpoint_of("unix:/run/gameroom", 7000, reactor), UNIXClientEndpoint)
        tls = endpoint_of("tls:play.example:7100", 7000, reactor)
        self.assertTrue(IStreamClientEndpoint.providedBy(tls))
        self.assertNotIsInstance(tls, HostnameEndpoint)

    def test_one_name(self) -> None:
        """A server's sessions are found again however it is written."""
        self.assertEqual({name_of(text, 7000) for text in ("Play.example", "play.example:7000")}, {"play.example:7000"})
        self.assertEqual({name_of(text, 7000) for text in ("::1", "[::1]", "[::1]:7000")}, {"[::1]:7000"})
        self.assertEqual(name_of("tls:play.example:7100", 7000), "tls:play.example:7100")
