"""The bytes of a client's connection."""

from __future__ import annotations

from typing import Any

from OpenSSL.SSL import Error as TLSError
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.stream import LineStream, in_words
from tests.doors.lobby_world import TCP


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.heard: list[Any] = []
        self.why: list[str] = []
        self.stream = LineStream(self.heard.append, self.why.append)

    def test_tcp_is_tuned(self) -> None:
        """Requests go out at once, and a server that has vanished is found."""
        transport = TCP()
        self.stream.makeConnection(transport)
        self.assertTrue(transport.no_delay and transport.keep_alive)

    def test_other_transports(self) -> None:
        """Those without such switches do as well."""
        self.stream.makeConnection(StringTransport())
        self.stream.dataReceived(b'{"a":1}\n')
        self.assertEqual(self.heard, [{"a": 1}])

    def test_writable(self) -> None:
        """Who has much to send is told when to wait, and when to go on; also at the end."""
        transport: Any = StringTransport()
        self.stream.makeConnection(transport)
        self.assertIsNone(self.stream.writable())
        transport.producer.pauseProducing()
        first = self.stream.writable()
        assert first is not None
        self.assertNoResult(first)
        transport.producer.resumeProducing()
        self.successResultOf(first)
        self.assertIsNone(self.stream.writable())
        transport.producer.pauseProducing()
        second = self.stream.writable()
        assert second is not None
        self.stream.connectionLost()
        self.successResultOf(second)
        self.assertIsNone(self.stream.writable())

    def test_one_who_waits_may_leave(self) -> None:
        """A wait that is cancelled keeps nobody else from going on."""
        transport: Any = StringTransport()
        self.stream.makeConnection(transport)
        transport.producer.pauseProducing()
        first, second = self.stream.writable(), self.stream.writable()
        assert first is not None
        assert second is not None
        first.addErrback(lambda _: None)
        first.cancel()
        transport.producer.resumeProducing()
        self.successResultOf(second)

    def test_close_lets_go_of_the_transport(self) -> None:
        """TLS ends only once nobody produces any more."""
        transport: Any = StringTransport()
        self.stream.makeConnection(transport)
        self.stream.close()
        self.assertIsNone(transport.producer)
        self.assertTrue(transport.disconnecting)
        self.stream.dataReceived(b'{"a":1}\n')
        self.assertEqual(self.heard, [])


class WordsTests(SynchronousTestCase):
    def test_in_words(self) -> None:
        """One line, without a stop or a traceback."""
        for error, words in (
            (ConnectionDone(), "the server closed the connection"),
            (ConnectionLost(), "the connection was lost"),
            (ConnectionAborted(), "the connection was cut"),
            (TLSError([("SSL routines", "", "certificate verify failed")]), "TLS: certificate verify failed"),
            (TLSError(), "TLS: the handshake failed"),
            (TLSError(-1, "Unexpected EOF"), "TLS: -1 Unexpected EOF"),
            (OSError("this\nand that."), "this and that"),
            (ValueError(), "ValueError"),
        ):
            self.assertEqual(in_words(error), words)
