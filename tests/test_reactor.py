"""What the lean reactor's connections do that stock ones do not; what both do is held by Twisted's own tests (system/test_reactor_conformance.py)."""

from __future__ import annotations

import errno
import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.reactors import getReactorTypes
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer, IPushProducer, IReactorFDSet
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom.reactor import FIRST_READ, LeanPort, LeanReactor, LeanServer

BUFFER = LeanServer.bufferSize


class Kernel:
    """A socket with room for so many bytes; or with an error in store, told once as the kernel does."""

    def __init__(self) -> None:
        self.room = 1_000_000_000
        self.error: int | None = None
        self.taken = b""
        self.sends = 0
        self.incoming: list[bytes] = []
        self.asked: list[int] = []
        self.shut: list[int] = []
        self.closed = False

    def send(self, data: bytes | memoryview) -> int:
        self.sends += 1
        if self.error is not None:
            raise OSError(self.error, "from the kernel")
        took = min(self.room, len(data))
        if not took:
            raise BlockingIOError(errno.EWOULDBLOCK, "full")
        self.room -= took
        self.taken += bytes(data[:took])
        return took

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        if not self.incoming:
            raise BlockingIOError(errno.EWOULDBLOCK, "nothing there")
        return self.incoming.pop(0)[:size]

    def shutdown(self, how: int) -> None:
        self.shut.append(how)

    def close(self) -> None:
        self.closed = True

    def fileno(self) -> int:
        return 7

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def setsockopt(self, *what: object) -> None:
        """Lingering."""


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Protocol):
    def __init__(self) -> None:
        self.said: list[str] = []

    def readConnectionLost(self) -> None:
        self.said.append("read")

    def writeConnectionLost(self) -> None:
        self.said.append("write")


class Recorder(Protocol):
    """Keeps what it is told; `on_data` is what it does with data."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: list[Failure] = []
        self.systems: list[str] = []
        self.on_data: Any = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.systems.append(context.get(log.ILogContext)["system"])
        self.on_data(data)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]  # Twisted's default
        self.lost.append(reason)


@implementer(IPushProducer, IPullProducer)
class Producer:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.on_pause: Any = lambda: None
        self.on_resume: Any = lambda: None

    def pauseProducing(self) -> None:
        self.said.append("pause")
        self.on_pause()

    def resumeProducing(self) -> None:
        self.said.append("resume")
        self.on_resume()

    def stopProducing(self) -> None:
        self.said.append("stop")


class ConnectionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.kernel = Kernel()
        self.protocol = Recorder()
        self.connection = self.connected(self.protocol)

    def connected(self, protocol: Protocol) -> LeanServer:
        connection = LeanServer(self.kernel, protocol, ("127.0.0.1", 1), None, 0, self.reactor)  # type: ignore[arg-type]
        protocol.makeConnection(connection)
        return connection

    @property
    def waits_to_write(self) -> bool:
        return self.connection in self.reactor.getWriters()


class WriteTests(ConnectionCase):
    def test_at_once(self) -> None:
        """What the kernel takes is gone when write returns, and the reactor has nothing to do."""
        self.connection.write(b"hello")
        self.connection.writeSequence([b" ", b"you"])
        self.assertEqual((self.kernel.taken, self.kernel.sends), (b"hello you", 2))
        self.assertFalse(self.waits_to_write)

    def test_nothing_is_nothing(self) -> None:
        """Writing no bytes calls nobody."""
        self.connection.write(b"")
        self.connection.writeSequence([])
        self.connection.writeSequence([b"", b""])
        self.assertEqual(self.kernel.sends, 0)
        self.assertFalse(self.waits_to_write)

    def test_tail(self) -> None:
        """What the kernel leaves is queued, and all later writes behind it, though there be room again."""
        self.kernel.room = 3
        self.connection.write(b"abcdef")
        self.assertEqual(self.kernel.taken, b"abc")
        self.assertTrue(self.waits_to_write)
        self.kernel.room = 100
        self.connection.write(b"gh")
        self.connection.writeSequence([b"i", b"j"])
        self.assertEqual(self.kernel.taken, b"abc")
        self.assertIsNone(self.connection.doWrite())
        self.connection.doWrite()
        self.assertEqual(self.kernel.taken, b"abcdefghij")
        self.assertFalse(self.waits_to_write)
        self.connection.write(b"k")
        self.assertEqual(self.kernel.taken, b"abcdefghijk")

    def test_full(self) -> None:
        """A kernel without room, or for now without memory, takes nothing, and it is no error."""
        for error in (errno.EWOULDBLOCK, errno.ENOBUFS):
            self.kernel = Kernel()
            self.connection = self.connected(self.protocol)
            self.kernel.error = error
            self.connection.write(b"abc")
            self.assertTrue(self.waits_to_write)
            self.kernel.error = None
            self.assertIsNone(self.connection.doWrite())
            self.assertEqual(self.kernel.taken, b"abc")

    def test_one_send_is_bounded(self) -> None:
        """No more than SEND_LIMIT goes in one call, as in stock, and nothing is lost by it."""
        data = bytes(range(256)) * 1200
        self.connection.write(data)
        self.assertEqual(len(self.kernel.taken), self.connection.SEND_LIMIT)
        while self.waits_to_write:
            self.connection.doWrite()
        self.assertEqual(self.kernel.taken, data)

    def test_bytes_only(self) -> None:
        """Text is refused in stock's words, whatever the state, and nothing of a bad sequence is sent."""
        for call in (lambda: self.connection.write("text"), lambda: self.connection.writeSequence([b"a", "b"])):  # type: ignore[arg-type,list-item]
            self.assertEqual(str(self.assertRaises(TypeError, call)), "Data must be bytes")
        self.assertEqual(self.kernel.taken, b"")

    @given(st.lists(st.one_of(st.binary(max_size=9), st.lists(st.binary(max_size=4)), st.integers(0, 12), st.none())))
    def test_nothing_is_reordered(self, steps: list[bytes | list[bytes] | int | None]) -> None:
        """Whatever is written in whatever pieces, with the kernel having whatever room, comes out whole and in order."""
        self.setUp()
        self.kernel.room = 0
        written = b""
        for step in steps:
            if isinstance(step, bytes):
                self.connection.write(step)
                written += step
            elif isinstance(step, list):
                self.connection.writeSequence(step)
                written += b"".join(step)
            elif step is None and self.waits_to_write:
                self.connection.doWrite()
            else:
                self.kernel.room = step or 0
            self.assertTrue(written.startswith(self.kernel.taken))
            self.assertTrue(self.waits_to_write or self.kernel.taken == written)
        self.kernel.room = 1_000_000
        while self.waits_to_write:
            self.connection.doWrite()
        self.assertEqual(self.kernel.taken, written)

    def test_tls_keeps_its_layer(self) -> None:
        """After startTLS what is written goes through TLS and not past it."""
        plain: list[bytes] = []
        self.protocol.write = plain.append  # type: ignore[attr-defined]
        self.protocol.writeSequence = plain.extend  # type: ignore[attr-defined]
        self.connection.TLS = True
        self.connection.write(b"secret")
        self.connection.writeSequence([b"also"])
        self.assertEqual((plain, self.kernel.taken), ([b"secret", b"also"], b""))


class FailureTests(ConnectionCase):
    def send_in_vain(self, error: int = errno.ECONNRESET) -> None:
        self.kernel.error = error
        self.connection.write(b"abc")
        self.kernel.error = None

    def test_not_from_inside_write(self) -> None:
        """A send that fails tells nobody from inside write, and asks for the next round."""
        self.send_in_vain()
        self.assertEqual(self.protocol.lost, [])
        self.assertTrue(self.waits_to_write)
        self.connection.write(b"def")
        self.assertEqual(self.kernel.sends, 1)

    def test_lost_when_written(self) -> None:
        """The next round says ConnectionLost, though the kernel has told its error and would take bytes now."""
        for error in (errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT):
            self.setUp()
            self.send_in_vain(error)
            self.assertIsInstance(self.connection.doWrite(), ConnectionLost)
            self.assertEqual(self.kernel.taken, b"")

    def test_lost_when_read(self) -> None:
        """The end of file that the kernel tells after its error is no clean end; what had come before is delivered."""
        self.send_in_vain()
        self.kernel.incoming = [b"last words", b""]
        self.assertIsNone(self.connection.doRead())
        self.assertEqual(self.protocol.data, b"last words")
        self.assertIsInstance(self.connection.doRead(), ConnectionLost)

    def test_lost_though_closing(self) -> None:
        """LoseConnection after a failed send does not make it a clean end."""
        self.send_in_vain()
        self.connection.loseConnection()
        self.assertIsInstance(self.connection.doWrite(), ConnectionLost)


class ProducerTests(ConnectionCase):
    def setUp(self) -> None:
        super().setUp()
        self.producer = Producer()

    def test_push_in_good_times(self) -> None:
        """A push producer hears nothing while the kernel takes everything."""
        self.connection.registerProducer(self.producer, True)
        for _ in range(10):
            self.connection.write(b"x" * BUFFER)
        self.assertEqual((self.producer.said, len(self.kernel.taken)), ([], 10 * BUFFER))

    def test_push_paused_by_a_large_write(self) -> None:
        """A write of more than the buffer pauses at once and resumes after it, as in stock."""
        self.connection.registerProducer(self.producer, True)
        self.connection.write(b"x" * (BUFFER + 1))
        self.assertEqual((self.producer.said, self.kernel.taken), (["pause"], b""))
        self.connection.doWrite()
        self.assertEqual(self.producer.said, ["pause", "resume"])

    def test_push_paused_by_the_queue(self) -> None:
        """With a slow peer a push producer is paused when more than the buffer waits, and resumed when nothing does."""
        self.connection.registerProducer(self.producer, True)
        self.kernel.room = 10
        self.connection.write(b"x" * BUFFER)
        self.assertEqual(self.producer.said, [])
        self.connection.write(b"y" * 20)
        self.assertEqual(self.producer.said, ["pause"])
        self.kernel.room = 100
        self.connection.doWrite()
        self.assertEqual(self.producer.said, ["pause"])
        self.kernel.room = 1_000_000
        self.connection.doWrite()
        self.assertEqual(self.producer.said, ["pause", "resume"])

    def test_written_while_told(self) -> None:
        """What a producer writes while it is paused or resumed goes behind what is queued."""
        self.connection.registerProducer(self.producer, True)
        self.producer.on_pause = lambda: self.connection.write(b"p") if len(self.producer.said) == 1 else None
        self.producer.on_resume = lambda: self.connection.write(b"r")
        self.connection.write(b"x" * (BUFFER + 1))
        while self.waits_to_write:
            self.connection.doWrite()
        self.assertEqual(self.kernel.taken, b"x" * (BUFFER + 1) + b"pr")

    def test_pull(self) -> None:
        """A pull producer is asked once for each time that all is sent, never from inside its own write."""
        pieces = [b"a", b"b", b"c"]
        depth: list[int] = []

        def write() -> None:
            depth.append(1)
            self.assertEqual(len(depth), 1)
            if pieces:
                self.connection.write(pieces.pop(0))
            else:
                self.connection.unregisterProducer()
            depth.pop()

        self.producer.on_resume = write
        self.connection.registerProducer(self.producer, False)
        self.assertEqual(self.kernel.taken, b"")
        while self.waits_to_write:
            self.connection.doWrite()
        self.assertEqual((self.kernel.taken, self.producer.said), (b"abc", ["resume"] * 4))


class EndTests(ConnectionCase):
    def test_lose_with_a_tail(self) -> None:
        """LoseConnection closes when the tail is sent and not before; what is written meanwhile goes before the end, as in stock."""
        self.kernel.room = 2
        self.connection.write(b"abcd")
        self.connection.loseConnection()
        self.connection.write(b"ef")
        self.assertIsNone(self.connection.doWrite() if self.kernel.room else None)
        self.kernel.room = 100
        results = [self.connection.doWrite()]
        while results[-1] is None:
            results.append(self.connection.doWrite())
        self.assertEqual(self.kernel.taken, b"abcdef")
        self.assertIsInstance(results[-1], ConnectionDone)

    def test_lose_with_nothing_queued(self) -> None:
        """What was sent at once needs no more, and the end still comes from the reactor."""
        self.connection.write(b"bye")
        self.connection.loseConnection()
        self.assertEqual(self.protocol.lost, [])
        self.assertTrue(self.waits_to_write)
        self.assertIsInstance(self.connection.doWrite(), ConnectionDone)
        self.assertEqual(self.kernel.taken, b"bye")

    def test_write_after_lose(self) -> None:
        """What is written after loseConnection is left to stock, and goes before the end."""
        self.connection.loseConnection()
        self.connection.write(b"late")
        self.assertEqual(self.kernel.sends, 0)
        self.assertIsInstance(self.connection.doWrite(), ConnectionDone)
        self.assertEqual(self.kernel.taken, b"late")

    def test_half_close_with_a_tail(self) -> None:
        """LoseWriteConnection shuts the sending side down behind the tail."""
        protocol = HalfCloseable()
        self.connection = self.connected(protocol)
        self.kernel.room = 1
        self.connection.write(b"abc")
        self.connection.loseWriteConnection()
        self.assertEqual(self.kernel.shut, [])
        self.kernel.room = 100
        self.connection.doWrite()
        self.assertEqual((self.kernel.taken, self.kernel.shut, protocol.said), (b"abc", [1], ["write"]))
        self.connection.write(b"too late")
        self.assertEqual(self.kernel.taken, b"abc")

    def test_abort(self) -> None:
        """AbortConnection drops the queue, sends nothing more, and ends with ConnectionAborted in the next round."""
        self.kernel.room = 1
        self.connection.write(b"abc")
        self.kernel.room = 100
        self.connection.abortConnection()
        self.connection.write(b"def")
        self.assertEqual((self.kernel.taken, self.protocol.lost), (b"a", []))
        self.reactor.advance(0)
        self.assertEqual([reason.type for reason in self.protocol.lost], [ConnectionAborted])
        self.connection.write(b"ghi")
        self.assertEqual((self.kernel.taken, self.kernel.closed), (b"a", True))

    def test_abort_with_nothing_queued(self) -> None:
        """After abortConnection nothing is sent, before its end has come and after it."""
        self.connection.abortConnection()
        self.connection.write(b"abc")
        self.reactor.advance(0)
        self.connection.write(b"def")
        self.connection.writeSequence([b"ghi"])
        self.assertEqual((self.kernel.sends, [reason.type for reason in self.protocol.lost]), (0, [ConnectionAborted]))

    def test_write_when_it_is_over(self) -> None:
        """A connection that is lost drops what is written to it."""
        self.connection.connectionLost(Failure(ConnectionLost()))
        self.connection.write(b"abc")
        self.connection.writeSequence([b"def"])
        self.assertEqual((self.kernel.sends, self.waits_to_write), (0, False))


class ReadTests(ConnectionCase):
    def read(self, *lengths: int) -> list[int]:
        """The sizes that were asked for, when reads gave these lengths."""
        self.kernel.asked.clear()
        for length in lengths:
            self.kernel.incoming.append(b"x" * length)
            self.connection.doRead()
        return self.kernel.asked

    def test_grows(self) -> None:
        """Reads are small at first, twice as large after each that came back full, and never beyond stock's buffer."""
        self.assertEqual(self.read(*[BUFFER] * 6), [FIRST_READ, FIRST_READ * 2, FIRST_READ * 4, BUFFER, BUFFER, BUFFER])

    def test_shrinks(self) -> None:
        """Small reads bring the small buffer back; reads that need the large one keep it."""
        self.read(BUFFER, BUFFER)
        self.assertEqual(self.read(FIRST_READ + 1, FIRST_READ + 1, 5, 5), [FIRST_READ * 4] * 3 + [FIRST_READ])

    def test_buffer_size_is_obeyed(self) -> None:
        """A program that wants smaller reads gets them."""
        self.connection.bufferSize = 100
        self.assertEqual(self.read(100, 100, 7), [100, 100, 100])

    def test_spurious(self) -> None:
        """Being called with nothing there is no event."""
        self.assertIsNone(self.connection.doRead())
        self.assertEqual(self.protocol.data, b"")


class ReactorTests(SynchronousTestCase):
    """The reactor's own loop, over a pair of sockets; never run, only turned by hand."""

    def setUp(self) -> None:
        self.reactor = LeanReactor()
        self.peer, mine = socket.socketpair()
        self.addCleanup(self.peer.close)
        self.addCleanup(mine.close)
        self.addCleanup(self._end_reactor)
        self.protocol = Recorder()
        self.connection = LeanServer(mine, self.protocol, ("127.0.0.1", 1), None, 0, self.reactor)  # type: ignore[arg-type]
        self.protocol.makeConnection(self.connection)

    def _end_reactor(self) -> None:
        self.reactor.removeAll()
        for reader in list(self.reactor._internalReaders):
            self.reactor.removeReader(reader)
            reader.connectionLost(None)
        self.reactor._poller.close()

    def test_it_is_a_reactor(self) -> None:
        """Twistd finds it by its name, and it offers what stock does."""
        names = {kind.shortName: kind for kind in getReactorTypes()}
        self.assertEqual(getattr(names["gameroom"], "moduleName", None), "gameroom.reactor")
        self.assertTrue(IReactorFDSet.providedBy(self.reactor))

    def test_ports_log_by_their_stock_name(self) -> None:
        """What filters know a stock port's events by is theirs too."""
        port = LeanPort(0, None, reactor=self.reactor)  # type: ignore[arg-type]
        self.assertEqual(port._logger.namespace, "twisted.internet.tcp.Port")

    def test_data_and_answer_in_one_round(self) -> None:
        """One round reads a request and sends its answer, and what is logged meanwhile is logged by the connection."""
        self.protocol.on_data = lambda data: self.connection.write(data.upper())
        self.peer.send(b"ping")
        self.reactor.doIteration(0)
        self.assertEqual(self.peer.recv(100), b"PING")
        self.assertEqual(self.protocol.systems, ["Recorder,0,127.0.0.1"])
        self.assertEqual(context.get(log.ILogContext)["system"], "-")

    def test_exception(self) -> None:
        """An exception in dataReceived is logged once, with the connection's name, and ends that connection with it."""
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.protocol.on_data = lambda data: 1 / 0
        self.peer.send(b"ping")
        self.reactor.doIteration(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([event["system"] for event in events if event.get("isError")], ["Recorder,0,127.0.0.1"])
        self.assertEqual([reason.type for reason in self.protocol.lost], [ZeroDivisionError])
        self.assertNotIn(self.connection, self.reactor.getReaders())

    def test_exception_in_the_end(self) -> None:
        """An exception in connectionLost is logged and goes no further."""
        self.protocol.on_data = lambda data: self.peer.close()
        self.protocol.connectionLost = lambda reason=None: 1 / 0  # type: ignore[method-assign,assignment]
        self.peer.send(b"ping")
        for _ in range(3):
            self.reactor.doIteration(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_half_closed_peer(self) -> None:
        """A peer that has said all is told to a protocol that wants to know, and can still be written to."""
        self.connection.protocol = protocol = HalfCloseable()
        self.peer.shutdown(socket.SHUT_WR)
        self.reactor.doIteration(0)
        self.assertEqual(protocol.said, ["read"])
        self.connection.write(b"answer")
        self.assertEqual(self.peer.recv(100), b"answer")

    def test_peer_that_went(self) -> None:
        """A write to a peer that is gone ends with ConnectionLost in a later round."""
        self.connection.stopReading()
        self.peer.close()
        self.connection.write(b"anybody?")
        self.assertEqual(self.protocol.lost, [])
        self.reactor.doIteration(0)
        self.assertEqual([reason.type for reason in self.protocol.lost], [ConnectionLost])

    def test_closed_underneath(self) -> None:
        """A connection whose descriptor went while its event waited is ended and not read."""
        self.connection.fileno = lambda: -1
        self.reactor._read(self.connection, context.theContextTracker.currentContext().contexts, {})
        self.assertEqual(len(self.protocol.lost), 1)
        self.assertEqual(self.protocol.data, b"")
