"""The byte pipe: what comes at one end goes out at the other, and how its ends end."""

from __future__ import annotations

import socket
import struct

from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer

from gameroom.doors.pipe import FLUSH_SECONDS, LINGER_SECONDS, LOOK_SECONDS, Pipe
from gameroom.gameservers.link import CLOSE_SECONDS, FINISH_SECONDS, ServerLink
from gameroom.gameservers.values import Participant
from gameroom.wire import game_port as wire
from tests.doors.pipes import DONE, LOST, Endpoint, Transport


@implementer(IHalfCloseableProtocol)
class Door(Protocol):
    """Whose connection becomes a pipe."""

    def __init__(self) -> None:
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        raise AssertionError("from now on all goes to the pipe")

    def readConnectionLost(self) -> None:
        raise AssertionError("from now on all goes to the pipe")

    writeConnectionLost = readConnectionLost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


class PipeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.client, self.server, self.door = Transport(), Transport(), Door()
        self.client.connected = self.server.connected = True

    def join(self, early: bytes = b"", behind: bytes = b"") -> None:
        """Make the pipe; `behind` is what the GameServer has sent behind its CONNECTED."""
        self.link = ServerLink(endpoint=Endpoint(self.server), clock=self.clock, token="t", entrant=Participant(seat=0, id="ada", name="Ada"))
        opened = self.link.open()
        self.server.clear()
        self.server.comes(wire.encode(wire.CONNECTED, {}) + behind)
        self.successResultOf(opened)
        self.door.makeConnection(self.client)
        self.client.protocol = self.door
        self.client.pauseProducing()
        self.pipe = Pipe(self.client, self.link, early, clock=self.clock)

    def is_over(self) -> None:
        """Both connections are closed, whoever waits was told, and no timer is left."""
        self.assertEqual((self.client.connected, self.server.connected), (False, False))
        self.assertEqual(len(self.door.lost), 1)
        self.successResultOf(self.link.gone())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class BytesTests(PipeCase):
    def test_both_ways(self) -> None:
        """What one end reads, the other writes, and nothing of ours is called between them."""
        self.join()
        self.client.comes(b"up")
        self.server.comes(b"down")
        self.assertEqual((self.server.value(), self.client.value()), (b"up", b"down"))
        self.assertEqual(self.client.protocol.dataReceived, self.server.write)
        self.assertEqual(self.server.protocol.dataReceived, self.client.write)

    def test_early_bytes(self) -> None:
        """What either side had sent before there was a pipe goes first."""
        self.join(early=b"early ", behind=b"config ")
        self.client.comes(b"late")
        self.server.comes(b"move")
        self.assertEqual((self.server.value(), self.client.value()), (b"early late", b"config move"))

    def test_back_pressure(self) -> None:
        """Who does not read stops the other from being read, each way."""
        self.join()
        for slow, fast in ((self.client, self.server), (self.server, self.client)):
            self.assertTrue(slow.streaming)
            slow.fills()
            self.assertEqual(fast.producerState, "paused")
            slow.producer.resumeProducing()
            self.assertEqual(fast.producerState, "producing")

    def test_a_server_that_was_lost_meanwhile(self) -> None:
        """What it had said before is passed on, and the client's connection closes."""
        link = ServerLink(endpoint=Endpoint(self.server), clock=self.clock, token="t", entrant=Participant(seat=0, id="ada", name="Ada"))
        opened = link.open()
        self.server.comes(wire.encode(wire.CONNECTED, {}) + b"last words")
        self.successResultOf(opened)
        self.server.is_lost()
        self.door.makeConnection(self.client)
        self.client.protocol = self.door
        Pipe(self.client, link, b"early", clock=self.clock)
        self.assertEqual((self.client.value(), self.client.half_closing), (b"last words", True))


class HalfCloseTests(PipeCase):
    def setUp(self) -> None:
        super().setUp()
        self.join()

    def test_the_client_says_no_more(self) -> None:
        """The GameServer hears so behind the last byte, and the client still hears the GameServer, until that ends as well."""
        self.client.comes(b"last")
        self.client.ends()
        self.server.flush()
        self.assertEqual((self.server.value(), self.server.half_closed, self.server.disconnecting), (b"last", True, False))
        self.server.comes(b"answer")
        self.assertEqual(self.client.value(), b"answer")
        self.server.ends()
        self.assertEqual((self.client.half_closing, self.client.disconnecting), (True, False))
        self.client.flush()
        self.client.flush()
        self.server.flush()
        self.is_over()

    def test_the_server_says_no_more(self) -> None:
        """The same the other way round."""
        self.server.comes(b"last")
        self.server.ends()
        self.client.flush()
        self.assertEqual((self.client.value(), self.client.half_closed, self.client.disconnecting), (b"last", True, False))
        self.client.comes(b"still here")
        self.assertEqual(self.server.value(), b"still here")
        self.client.ends()
        for transport in (self.server, self.server, self.client):
            transport.flush()
        self.is_over()

    def test_while_the_other_does_not_read(self) -> None:
        """A half-close waits behind what is queued, and no producer is waited for."""
        self.server.fills()
        self.client.ends()
        self.assertIsNone(self.server.producer)
        self.server.flush()
        self.assertTrue(self.server.half_closed)

    def test_said_twice(self) -> None:
        """An end that is told again, as after a resume, is nothing new."""
        self.client.ends()
        self.client.ends()
        self.server.flush()
        self.client.ends()
        self.assertFalse(self.client.disconnecting)

    def test_a_half_closed_client_that_vanishes(self) -> None:
        """Nothing is read of it, so it is looked at now and then: one that was reset is gone, and one that is there stays."""
        listening = socket.create_server(("127.0.0.1", 0))
        peer = socket.create_connection(listening.getsockname())
        self.client.handle = listening.accept()[0]
        for each in (listening, self.client.handle):
            self.addCleanup(each.close)
        self.client.ends()
        self.server.flush()
        self.clock.pump([LOOK_SECONDS] * 3)
        self.assertTrue(self.client.connected)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        self.clock.advance(LOOK_SECONDS)
        self.assertTrue(self.client.aborted)


class GoneTests(PipeCase):
    def setUp(self) -> None:
        super().setUp()
        self.join()

    def test_the_client_is_gone(self) -> None:
        """The GameServer gets what the client had said, then the end; what it still says is thrown away."""
        self.client.comes(b"said")
        self.client.is_lost()
        self.assertEqual(self.door.lost, [LOST])
        self.server.comes(b"to nobody")
        self.server.flush()
        self.assertEqual((self.server.value(), self.server.half_closed), (b"said", True))
        self.server.ends()
        self.assertTrue(self.server.disconnecting)
        self.server.flush()
        self.is_over()

    def test_the_server_is_gone(self) -> None:
        """The client gets what the GameServer had said, then the end; it may close when it likes, and what it says is thrown away."""
        self.server.comes(b"last words")
        self.server.is_lost()
        self.client.comes(b"to nobody")
        self.client.flush()
        self.assertEqual((self.client.value(), self.client.half_closed, self.client.disconnecting), (b"last words", True, False))
        self.client.ends()
        self.client.flush()
        self.is_over()

    def test_a_paused_client_is_heard_again(self) -> None:
        """Its end would not be heard, and its unread bytes would have the kernel reset the connection over the GameServer's last words."""
        self.server.fills()
        self.server.is_lost()
        self.client.comes(b"to nobody")

    def test_a_client_that_never_closes(self) -> None:
        """It is read for some seconds after it has everything, then closed."""
        self.server.is_lost()
        self.client.flush()
        self.clock.advance(LINGER_SECONDS - 0.1)
        self.assertFalse(self.client.disconnecting)
        self.clock.advance(0.1)
        self.assertTrue(self.client.disconnecting)
        self.client.flush()
        self.is_over()

    def test_in_a_hurry(self) -> None:
        """Where the daemon goes down a client that has everything is closed, whichever of the two was first."""
        self.pipe.hurry()
        self.assertFalse(self.client.disconnecting)
        self.server.is_lost()
        self.assertFalse(self.client.disconnecting)
        self.client.flush()
        self.assertTrue(self.client.disconnecting)
        self.client.flush()
        self.is_over()

    def test_in_a_hurry_at_last(self) -> None:
        self.server.is_lost()
        self.client.flush()
        self.pipe.hurry()
        self.assertTrue(self.client.disconnecting)
        self.client.flush()
        self.is_over()

    def test_a_peer_that_never_reads(self) -> None:
        """Nothing is kept for ever: what it has not read after a while is dropped with its connection. Both ways."""
        self.server.is_lost()
        self.clock.advance(FLUSH_SECONDS - 0.1)
        self.assertTrue(self.client.connected)
        self.clock.advance(0.1)
        self.assertTrue(self.client.aborted)
        self.is_over()

    def test_a_server_that_never_reads(self) -> None:
        self.server.fills()
        self.client.is_lost()
        self.clock.advance(FLUSH_SECONDS)
        self.assertTrue(self.server.aborted)
        self.is_over()

    def test_half_closed_before(self) -> None:
        """A client that has heard the GameServer's end already is only waited for."""
        self.server.ends()
        self.client.flush()
        self.server.is_lost()
        self.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.client.disconnecting)
        self.client.flush()
        self.is_over()


class LinkTests(PipeCase):
    """What the room does with the link."""

    def setUp(self) -> None:
        super().setUp()
        self.join()

    def test_finish(self) -> None:
        """Nothing more of the client's is passed on; what the GameServer still says is, until its end."""
        self.client.comes(b"in time")
        self.link.finish()
        self.client.comes(b"too late")
        self.server.flush()
        self.assertEqual((self.server.value(), self.server.half_closed), (b"in time", True))
        self.server.comes(b"the score")
        self.server.ends()
        self.assertEqual((self.client.value(), self.client.half_closing), (b"the score", True))
        self.server.flush()
        self.client.flush()
        self.client.ends()
        self.client.flush()
        self.is_over()

    def test_finish_while_the_server_does_not_read(self) -> None:
        """The client is read again, so that its end is heard."""
        self.server.fills()
        self.link.finish()
        self.client.comes(b"too late")
        self.client.ends()
        self.assertTrue(self.client.connected)

    def test_finish_of_a_server_that_goes_on(self) -> None:
        """It is closed, and then its clients are."""
        self.link.finish()
        self.server.flush()
        self.clock.advance(FINISH_SECONDS - 0.1)
        self.server.comes(b"on and on")
        self.assertFalse(self.client.half_closing)
        self.clock.advance(0.1)
        self.assertTrue(self.client.half_closing)
        self.clock.advance(CLOSE_SECONDS)
        self.assertFalse(self.server.connected)
        self.assertEqual(self.client.value(), b"on and on")
        self.client.flush()
        self.client.ends()
        self.client.flush()
        self.is_over()

    def test_the_client_goes_while_it_finishes(self) -> None:
        """The GameServer's connection is closed in its time."""
        self.link.finish()
        self.client.is_lost()
        self.server.flush()
        self.clock.advance(FINISH_SECONDS)
        self.server.flush()
        self.is_over()

    def test_close(self) -> None:
        """A newer connection takes over: the GameServer's end is closed at once, the client's once all is written."""
        self.server.comes(b"said")
        self.link.close()
        self.assertTrue(self.server.disconnecting)
        self.server.flush()
        self.assertEqual((self.client.half_closing, self.client.connected), (True, True))
        self.client.flush()
        self.assertEqual(self.client.value(), b"said")
        self.client.ends()
        self.client.flush()
        self.is_over()

    def test_close_while_nobody_reads(self) -> None:
        """Neither end waits for a producer that it has paused."""
        self.server.fills()
        self.client.fills()
        self.link.close()
        self.assertEqual((self.server.producer, self.client.producer), (None, None))
        self.clock.advance(FLUSH_SECONDS)
        self.is_over()


class TlsTests(PipeCase):
    """A client that comes by TLS, which cannot half-close."""

    def setUp(self) -> None:
        super().setUp()
        directlyProvides(self.client, ISSLTransport, ITCPTransport)
        self.join()

    def test_the_server_says_no_more(self) -> None:
        """The client's connection is closed as a whole, behind what is queued."""
        self.server.comes(b"last words")
        self.server.ends()
        self.assertEqual((self.client.half_closing, self.client.disconnecting), (False, True))
        self.client.flush()
        self.server.flush()
        self.server.flush()
        self.is_over()

    def test_the_client_is_gone(self) -> None:
        """It ends as it does for all."""
        self.client.is_lost(DONE)
        self.server.flush()
        self.server.ends()
        self.server.flush()
        self.is_over()

    def test_who_never_reads(self) -> None:
        self.server.is_lost()
        self.clock.advance(FLUSH_SECONDS)
        self.assertTrue(self.client.aborted)
        self.is_over()
