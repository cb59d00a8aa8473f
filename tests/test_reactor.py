"""What the lean reactor's connections do that stock ones do not; what both do is held by Twisted's own tests (system/test_reactor_conformance.py)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.reactors import getReactorTypes
from twisted.internet import tcp
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer, IPushProducer, IReactorFDSet
from twisted.internet.protocol import Protocol
from twisted.logger import globalLogPublisher
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom.reactor import LeanPort, LeanReactor, LeanServer
from gameroom.reactor_round import LARGE_READ, SMALL_READ
from gameroom.shortcuts import pass_on

BUFFER = tcp.Connection.bufferSize


class Kernel:
    """A socket with room for so many bytes, or with an error in store. To epoll it is a real one that can be written to."""

    def __init__(self) -> None:
        self.real, self.peer = socket.socketpair()
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
        data = self.incoming.pop(0)
        if len(data) > size:
            self.incoming.insert(0, data[size:])
        return data[:size]

    def shutdown(self, how: int) -> None:
        self.shut.append(how)
        self.error = errno.EPIPE

    def close(self) -> None:
        self.closed, self.error = True, errno.EBADF
        self.real.close()
        self.peer.close()

    def fileno(self) -> int:
        return self.real.fileno()

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


class ReactorCase(SynchronousTestCase):
    """A lean reactor that is never run, only turned by hand."""

    def setUp(self) -> None:
        self.reactor = LeanReactor()
        self.to_close: list[Any] = []
        self.addCleanup(self._end_reactor)

    def _end_reactor(self) -> None:
        self.reactor.removeAll()
        for reader in list(self.reactor._internalReaders):
            self.reactor.removeReader(reader)
            reader.connectionLost(None)
        self.reactor._poller.close()
        for thing in self.to_close:
            thing.close()

    def round(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.iterate(0)


class MainLoopTests(ReactorCase):
    """The loop is run, and its rounds are ours."""

    def loop(self, *rounds: Callable[[], object]) -> list[float | None]:
        """Each of them is a round's events. Gives what the rounds were told to wait for at most; it ends with the last."""
        waits: list[float | None] = []
        todo = [*rounds, self.reactor.crash]

        def turn(wait: float | None) -> None:
            waits.append(wait)
            todo.pop(0)()

        self.patch(self.reactor, "doIteration", turn)
        self.reactor.startRunning(installSignalHandlers=False)
        self.reactor.mainLoop()
        return waits

    def nothing(self) -> None:
        """A round without events."""

    def test_what_is_due(self) -> None:
        """What events ask for is done before the next round: calls at once, from threads, and a stop."""
        done: list[str] = []
        self.reactor.addSystemEventTrigger("before", "shutdown", done.append, "stopped")
        self.loop(
            lambda: self.reactor.callLater(0, done.append, "later"),
            lambda: self.reactor.callFromThread(done.append, "from a thread"),
            lambda: done.append("round"),
            self.reactor.stop,
            lambda: done.append("round"),
        )
        self.assertEqual(done, ["later", "from a thread", "round", "stopped", "round"])

    def test_waits(self) -> None:
        """A round waits until the next call is due, for no longer than the kernel can, and without any for ever."""
        now = [100.0]
        self.patch(self.reactor, "seconds", lambda: now[0])
        calls: list[Any] = []
        waits = self.loop(
            lambda: calls.append(self.reactor.callLater(5, self.nothing)),
            lambda: now.__setitem__(0, 103.0),
            lambda: calls[0].delay(10),
            lambda: now.__setitem__(0, 106.0),
            lambda: calls[0].cancel(),  # noqa: PLW0108 - it is made in the first round
            lambda: now.__setitem__(0, 200.0),
            lambda: self.reactor.callLater(1e9, self.nothing),
            self.nothing,
        )
        self.assertEqual(waits[:5], [None, 5.0, 2.0, 2.0, 9.0])
        self.assertEqual(waits[6], None)
        self.assertTrue(all(wait and wait <= 2_147_483 for wait in waits[7:]))

    def test_error(self) -> None:
        """What a round raises is logged, and the next one begins."""
        self.assertEqual(len(self.loop(lambda: 1 / 0, self.nothing)), 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ConnectionCase(ReactorCase):
    """One connection whose kernel is ours."""

    def setUp(self) -> None:
        super().setUp()
        self.connect(Recorder())

    def connect(self, protocol: Any) -> None:
        """Begin anew, with another connection."""
        self.kernel = Kernel()
        self.to_close.append(self.kernel)
        self.protocol = protocol
        self.connection = LeanServer(self.kernel, protocol, ("127.0.0.1", 1), None, 0, self.reactor)
        protocol.makeConnection(self.connection)

    @property
    def waits_to_write(self) -> bool:
        return self.connection in self.reactor.getWriters()

    @property
    def asks_epoll(self) -> bool:
        return self.kernel.fileno() in self.reactor._writes

    def rounds(self) -> None:
        """More than it takes to send all."""
        self.round(20)
        self.assertFalse(self.waits_to_write)

    @property
    def reasons(self) -> list[Any]:
        """Why it was lost."""
        return [reason.type for reason in self.protocol.lost]


class WriteTests(ConnectionCase):
    def test_one_send_for_a_round(self) -> None:
        """All that is written in one round is one send at its end, and epoll is not asked."""
        self.connection.write(b"hello")
        self.connection.writeSequence([b" ", b"you"])
        self.connection.write(b"!")
        self.assertEqual(self.kernel.sends, 0)
        self.assertEqual(self.reactor.getWriters(), [self.connection])
        self.reactor.doIteration(0)
        self.assertEqual((self.kernel.taken, self.kernel.sends), (b"hello you!", 1))
        self.assertFalse(self.waits_to_write)

    def test_timed_calls(self) -> None:
        """What a timed call or a thread's call writes is sent before the reactor waits."""
        self.reactor.callLater(0, self.connection.write, b"timed")
        self.reactor.callFromThread(self.connection.write, b"called ")
        self.reactor.runUntilCurrent()
        sent_before: list[bytes] = []
        self.reactor._poller = Poller(lambda: sent_before.append(self.kernel.taken), self.reactor._poller)
        self.reactor.doIteration(0)
        self.assertEqual(sent_before, [b"called timed"])

    def test_nothing_is_nothing(self) -> None:
        """Writing no bytes sends nothing and leaves nothing to do."""
        self.connection.write(b"")
        self.connection.writeSequence([])
        self.connection.writeSequence([b"", b""])
        self.round(2)
        self.assertEqual(self.kernel.taken, b"")
        self.assertFalse(self.waits_to_write)

    def test_tail(self) -> None:
        """What the kernel leaves waits for epoll, and all later writes behind it."""
        self.kernel.room = 3
        self.connection.write(b"abcdef")
        self.reactor.doIteration(0)
        self.assertEqual((self.kernel.taken, self.asks_epoll), (b"abc", True))
        self.kernel.room = 100
        self.connection.write(b"gh")
        self.connection.writeSequence([b"i", b"j"])
        self.assertEqual(self.reactor.getWriters(), [self.connection])
        self.assertFalse(self.connection.send_written())
        self.round()
        self.assertEqual((self.kernel.taken, self.waits_to_write, self.asks_epoll), (b"abcdefghij", False, False))
        self.connection.write(b"k")
        self.round()
        self.assertEqual(self.kernel.taken, b"abcdefghijk")

    def test_full(self) -> None:
        """A kernel without room, or for now without memory, takes nothing, and it is no error."""
        for error in (errno.EWOULDBLOCK, errno.ENOBUFS):
            self.connect(Recorder())
            self.kernel.error = error
            self.connection.write(b"a")
            self.connection.write(b"bc")
            self.round(2)
            self.assertEqual((self.asks_epoll, self.protocol.lost), (True, []))
            self.kernel.error = None
            self.round()
            self.assertEqual((self.kernel.taken, self.waits_to_write), (b"abc", False))

    def test_one_send_is_bounded(self) -> None:
        """No more than SEND_LIMIT goes in one call, as in stock, and nothing is lost by it."""
        data = bytes(range(256)) * 1200
        self.connection.write(data)
        self.reactor.doIteration(0)
        self.assertEqual(len(self.kernel.taken), self.connection.SEND_LIMIT)
        self.rounds()
        self.assertEqual(self.kernel.taken, data)

    def test_bytes_only(self) -> None:
        """Text is refused in stock's words, and nothing of a bad sequence is sent."""
        for call in (lambda: self.connection.write("text"), lambda: self.connection.writeSequence([b"a", "b"])):  # type: ignore[arg-type, list-item]
            self.assertEqual(str(self.assertRaises(TypeError, call)), "Data must be bytes")
        self.round(2)
        self.assertEqual(self.kernel.taken, b"")

    @given(st.lists(st.one_of(st.binary(max_size=9), st.lists(st.binary(max_size=4)), st.integers(0, 12), st.none())))
    def test_nothing_is_reordered(self, steps: list[bytes | list[bytes] | int | None]) -> None:
        """Whatever is written in whatever pieces, with the kernel having whatever room, comes out whole and in order."""
        self.connect(Recorder())
        self.kernel.room = 0
        written = b""
        for step in steps:
            if isinstance(step, bytes):
                self.connection.write(step)
                written += step
            elif isinstance(step, list):
                self.connection.writeSequence(step)
                written += b"".join(step)
            elif step is None:
                self.round()
            else:
                self.kernel.room = step
            self.assertTrue(written.startswith(self.kernel.taken))
            self.assertTrue(self.waits_to_write or self.kernel.taken == written)
        self.kernel.room = 1_000_000
        self.rounds()
        self.assertEqual(self.kernel.taken, written)
        self.connection.connectionLost(Failure(ConnectionLost()))

    def test_everybody_is_sent(self) -> None:
        """One connection whose sending raises is ended by stock's way, and the others' bytes go out all the same."""
        broken, kernel = self.connection, self.kernel
        kernel.send = lambda data: 1 // 0  # type: ignore[method-assign]
        broken.write(b"abc")
        protocol = self.protocol
        self.connect(Recorder())
        self.connection.write(b"def")
        self.reactor.doIteration(0)
        self.assertEqual(self.kernel.taken, b"def")
        self.round()
        self.assertEqual([reason.type for reason in protocol.lost], [ZeroDivisionError])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_tls_keeps_its_layer(self) -> None:
        """After startTLS what is written goes through TLS and not past it."""
        plain: list[bytes] = []
        self.protocol.write = plain.append
        self.protocol.writeSequence = plain.extend
        self.connection.TLS = True
        self.connection.write(b"secret")
        self.connection.writeSequence([b"also"])
        self.round(2)
        self.assertEqual((plain, self.kernel.taken), ([b"secret", b"also"], b""))


class Poller:
    """Says when the reactor waits."""

    def __init__(self, waits: Callable[[], None], real: Any) -> None:
        self._waits = waits
        self._real = real

    def poll(self, timeout: float, most: int) -> Any:
        self._waits()
        return self._real.poll(timeout, most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class FailureTests(ConnectionCase):
    def send_in_vain(self, error: int = errno.ECONNRESET) -> None:
        self.kernel.error = error
        self.connection.write(b"abc")
        self.reactor._send_written()
        self.kernel.error = None

    def test_told_later(self) -> None:
        """A send that fails tells nobody; what epoll says then ends it with ConnectionLost, though the kernel would take bytes now."""
        for error in (errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT):
            self.connect(Recorder())
            self.send_in_vain(error)
            self.assertEqual((self.reasons, self.waits_to_write), ([], True))
            self.connection.write(b"def")
            self.round()
            self.assertEqual((self.reasons, self.kernel.taken), ([ConnectionLost], b""))

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
        self.round()
        self.assertEqual(self.reasons, [ConnectionLost])


class ProducerTests(ConnectionCase):
    def setUp(self) -> None:
        super().setUp()
        self.producer = Producer()

    def test_push_in_good_times(self) -> None:
        """A push producer hears nothing while the kernel takes everything."""
        self.connection.registerProducer(self.producer, True)
        for _ in range(10):
            self.connection.write(b"x" * BUFFER)
            self.reactor.doIteration(0)
        self.assertEqual((self.producer.said, len(self.kernel.taken)), ([], 10 * BUFFER))

    def test_push_paused_by_what_is_written(self) -> None:
        """Whoever writes more than the buffer in one round is paused from inside that write, and resumed when all is sent."""
        self.connection.registerProducer(self.producer, True)
        self.connection.write(b"x" * BUFFER)
        self.assertEqual(self.producer.said, [])
        self.connection.write(b"y")
        self.assertEqual((self.producer.said, self.kernel.taken), (["pause"], b""))
        self.round(2)
        self.assertEqual((self.producer.said, len(self.kernel.taken)), (["pause", "resume"], BUFFER + 1))

    def test_push_paused_by_the_tail(self) -> None:
        """With a slow peer a push producer is paused when more than the buffer waits, and resumed when nothing does."""
        self.connection.registerProducer(self.producer, True)
        self.kernel.room = 10
        self.connection.write(b"x" * BUFFER)
        self.round()
        self.assertEqual(self.producer.said, [])
        self.connection.write(b"y" * 20)
        self.assertEqual(self.producer.said, ["pause"])
        self.kernel.room = 100
        self.round()
        self.assertEqual(self.producer.said, ["pause"])
        self.kernel.room = 1_000_000
        self.rounds()
        self.assertEqual(self.producer.said, ["pause", "resume"])

    def test_paused_and_gone(self) -> None:
        """A producer that was paused and took its leave does not keep the connection from the short way."""
        self.connection.registerProducer(self.producer, True)
        self.connection.write(b"x" * (BUFFER + 1))
        self.connection.unregisterProducer()
        self.reactor.doIteration(0)
        self.assertEqual((self.producer.said, self.waits_to_write), (["pause"], False))

    def test_written_while_told(self) -> None:
        """What a producer writes while it is paused or resumed goes behind what is queued."""
        self.connection.registerProducer(self.producer, True)
        self.producer.on_pause = lambda: self.connection.write(b"p") if len(self.producer.said) == 1 else None
        self.producer.on_resume = lambda: self.connection.write(b"r")
        self.connection.write(b"x" * (BUFFER + 1))
        self.rounds()
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
        self.rounds()
        self.assertEqual((self.kernel.taken, self.producer.said), (b"abc", ["resume"] * 4))


class EndTests(ConnectionCase):
    def test_lose(self) -> None:
        """LoseConnection closes when all is sent and not before; what is written meanwhile goes before the end, as in stock."""
        self.kernel.room = 2
        self.connection.write(b"abcd")
        self.connection.loseConnection()
        self.connection.write(b"ef")
        self.assertEqual((self.kernel.sends, self.reasons), (0, []))
        self.round(2)
        self.assertEqual((self.kernel.taken, self.reasons), (b"ab", []))
        self.kernel.room = 100
        self.round(2)
        self.assertEqual((self.kernel.taken, self.reasons), (b"abcdef", [ConnectionDone]))
        self.assertEqual((self.reactor.getWriters(), self.kernel.closed), ([], True))

    def test_half_close(self) -> None:
        """LoseWriteConnection shuts the sending side down behind what was written."""
        self.connect(HalfCloseable())
        self.kernel.room = 1
        self.connection.write(b"abc")
        self.connection.loseWriteConnection()
        self.round(2)
        self.assertEqual(self.kernel.shut, [])
        self.kernel.room = 100
        self.round()
        self.assertEqual((self.kernel.taken, self.kernel.shut, self.protocol.said), (b"abc", [1], ["write"]))
        self.connection.write(b"too late")
        self.round(2)
        self.assertEqual(self.kernel.taken, b"abc")

    def test_abort(self) -> None:
        """AbortConnection drops what was written in its round and the tail of earlier ones, and ends with ConnectionAborted in the next."""
        self.kernel.room = 1
        self.connection.write(b"abc")
        self.reactor.doIteration(0)
        self.kernel.room = 100
        self.connection.write(b"def")
        self.connection.abortConnection()
        self.connection.write(b"ghi")
        self.connection.writeSequence([b"jkl"])
        self.reactor.doIteration(0)
        self.assertEqual((self.kernel.taken, self.reasons), (b"a", []))
        self.round()
        self.connection.write(b"mno")
        self.round()
        self.assertEqual((self.kernel.taken, self.reasons, self.kernel.closed), (b"a", [ConnectionAborted], True))

    def test_lost_inside_the_round(self) -> None:
        """A connection that is lost before the end of the round sends no more of it, and drops what is written to it then."""
        self.connection.write(b"abc")
        self.connection.connectionLost(Failure(ConnectionLost()))
        self.connection.write(b"def")
        self.connection.writeSequence([b"ghi"])
        self.round(2)
        self.assertEqual((self.kernel.sends, self.reactor.getWriters()), (0, []))

    def test_all_removed(self) -> None:
        """A reactor that ends gives back those that had written, once, and sends nothing more of them."""
        self.connection.write(b"abc")
        self.assertEqual(self.reactor.removeAll(), [self.connection])
        self.connection.write(b"def")
        self.connection.stopReading()
        self.assertEqual(self.reactor.removeAll(), [self.connection])
        self.round()
        self.assertEqual(self.kernel.sends, 0)


class ReadTests(ConnectionCase):
    def read(self, *incoming: bytes) -> None:
        self.kernel.incoming = list(incoming)
        for _ in incoming:
            self.connection.doRead()

    def test_read(self) -> None:
        """After a full read the next asks for as much as stock's; when there is little again, for little."""
        kept: list[bytes] = []
        self.protocol.on_data = kept.append
        pieces = [b"x" * SMALL_READ, b"y" * BUFFER, b"z" * SMALL_READ, b"w", b"v"]
        self.read(*pieces)
        self.assertEqual((self.kernel.asked, kept), ([SMALL_READ, BUFFER, BUFFER, BUFFER, SMALL_READ], pieces))

    def test_buffer_size_is_obeyed(self) -> None:
        """A program that wants smaller reads gets them; so does one that wants larger, where there is much."""
        self.connection.bufferSize = 100
        self.read(b"x" * 100, b"x" * 100)
        self.connection.bufferSize = BUFFER * 4
        self.read(b"x" * SMALL_READ, b"x" * 4 * BUFFER)
        self.assertEqual(self.kernel.asked, [100, 100, SMALL_READ, BUFFER * 4])
        self.assertEqual(len(self.protocol.data), 200 + SMALL_READ + BUFFER * 4)

    def test_spurious(self) -> None:
        """Being called with nothing there is no event."""
        self.assertIsNone(self.connection.doRead())
        self.assertEqual(self.protocol.data, b"")


class ReactorTests(ReactorCase):
    """The reactor's own loop, over a pair of sockets."""

    def setUp(self) -> None:
        super().setUp()
        self.peer, mine = socket.socketpair()
        self.to_close += [self.peer, mine]
        self.protocol = Recorder()
        self.connection = LeanServer(mine, self.protocol, ("127.0.0.1", 1), None, 0, self.reactor)
        self.protocol.makeConnection(self.connection)

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
        self.reactor.doIteration(0)
        self.assertEqual(self.peer.recv(100), b"answer")

    def test_peer_that_went(self) -> None:
        """A write to a peer that is gone ends with ConnectionLost in a later round."""
        self.connection.stopReading()
        self.peer.close()
        self.connection.write(b"anybody?")
        self.assertEqual(self.protocol.lost, [])
        self.round()
        self.assertEqual([reason.type for reason in self.protocol.lost], [ConnectionLost])

    def test_closed_underneath(self) -> None:
        """A connection whose descriptor went while its event waited is ended and not read."""
        self.connection.fileno = lambda: -1
        self.reactor._read(self.connection, context.theContextTracker.currentContext().contexts, {}, self.connection.doRead)
        self.assertEqual(len(self.protocol.lost), 1)
        self.assertEqual(self.protocol.data, b"")


class PassingProtocol(Recorder):
    """What `pass_on` asks of a protocol: to do the same."""

    def __init__(self, case: PassOnTests, to: str) -> None:
        super().__init__()
        self._case, self._to = case, to

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        getattr(self._case, self._to).write(data)


class PassOnTests(ReactorCase):
    """Two connections, of which each is passed what comes at the other."""

    def setUp(self) -> None:
        super().setUp()
        self.passing, self.passed = PassingProtocol(self, "far"), PassingProtocol(self, "near")
        self.near, self.near_kernel = self._connection(self.passing)
        self.far, self.far_kernel = self._connection(self.passed)
        pass_on(self.near, self.far)

    def _connection(self, protocol: Any) -> tuple[Any, Kernel]:
        kernel = Kernel()
        self.to_close.append(kernel)
        connection: Any = LeanServer(kernel, protocol, ("127.0.0.1", 1), None, 0, self.reactor)
        protocol.makeConnection(connection)
        return connection, kernel

    def comes(self, *pieces: bytes) -> None:
        """So much comes at the near one, a piece a round."""
        for piece in pieces:
            self.near_kernel.incoming = [piece]
            self.near_kernel.peer.send(b"!")
            self.round()
            if not self.near_kernel.closed:
                self.near_kernel.real.recv(1)

    @property
    def by_protocol(self) -> bytes:
        return self.passing.data

    def test_the_short_way(self) -> None:
        """What is read is sent in the same event, and no protocol is called."""
        self.comes(b"one", b"two")
        self.assertEqual((self.far_kernel.taken, self.far_kernel.sends, self.by_protocol), (b"onetwo", 2, b""))
        self.assertEqual(self.reactor.getWriters(), [])

    def test_what_was_written_before_is_sent_before(self) -> None:
        """Whatever waits in the queue goes first."""
        self.far.write(b"before ")
        self.comes(b"after")
        self.assertEqual(self.far_kernel.taken, b"before after")

    def test_what_the_kernel_leaves(self) -> None:
        """The rest waits for epoll, and all that comes meanwhile behind it; the producer of too much is paused, and resumed."""
        producer = Producer()
        self.far.registerProducer(producer, True)
        self.far_kernel.room = 2
        self.comes(b"abcde", b"fg")
        self.assertEqual(self.far_kernel.taken, b"ab")
        self.comes(bytes(SMALL_READ), bytes(8 * SMALL_READ), bytes(8 * SMALL_READ))
        self.assertEqual(producer.said, ["pause"])
        self.far_kernel.room = 10_000_000
        self.round(5)
        self.assertEqual(self.far_kernel.taken, b"abcdefg" + bytes(17 * SMALL_READ))
        self.assertEqual(producer.said, ["pause", "resume"])

    def test_no_room_at_all(self) -> None:
        self.far_kernel.room = 0
        self.comes(b"abc")
        self.far_kernel.room = 10
        self.round(3)
        self.assertEqual(self.far_kernel.taken, b"abc")

    def test_reads_grow_and_shrink(self) -> None:
        """While they come back full each asks for more, up to a bound; after a little one for little."""
        self.comes(bytes(SMALL_READ), bytes(8 * SMALL_READ), bytes(LARGE_READ), bytes(8 * SMALL_READ), b"little", b"little")
        self.assertEqual(self.near_kernel.asked, [SMALL_READ, 8 * SMALL_READ, *[LARGE_READ] * 3, SMALL_READ])

    def test_a_large_rest(self) -> None:
        """Of what one read brought, more than a transport queues may be left: its producer is paused at once."""
        producer = Producer()
        self.far.registerProducer(producer, True)
        self.comes(bytes(SMALL_READ), bytes(8 * SMALL_READ))
        self.far_kernel.room = 1
        self.comes(bytes(LARGE_READ))
        self.assertEqual(producer.said, ["pause"])

    def test_the_end(self) -> None:
        """An end of file, and an error, end the source as ever, and nobody else."""
        self.comes(b"")
        self.assertEqual([reason.type for reason in self.passing.lost], [ConnectionDone])
        self.assertEqual(self.reactor.shortcuts, {})
        self.assertTrue(self.far.connected)

    def test_half_close(self) -> None:
        """Protocols that can hear of it do."""
        self.near.protocol = HalfCloseable()
        self.comes(b"")
        self.assertEqual((self.near.protocol.said, self.near.connected), (["read"], 1))

    def test_an_error_in_reading(self) -> None:
        self.near_kernel.recv = self._broken  # type: ignore[method-assign]
        pass_on(self.near, self.far)
        self.comes(b"never read")
        self.assertEqual([reason.type for reason in self.passing.lost], [ConnectionLost])

    def _broken(self, size: int) -> bytes:
        raise OSError(errno.ECONNRESET, "from the kernel")

    def test_an_error_in_sending(self) -> None:
        """It is the target's, which ends with ConnectionLost; the source is well."""
        self.far_kernel.error = errno.ECONNRESET
        self.comes(b"lost")
        self.round(3)
        self.assertEqual([reason.type for reason in self.passed.lost], [ConnectionLost])
        self.assertTrue(self.near.connected)

    def test_a_target_that_is_gone(self) -> None:
        """What comes for it is dropped, as with `write`."""
        self.far.loseConnection()
        self.round(3)
        self.assertEqual(len(self.passed.lost), 1)
        self.far_kernel.error = errno.EBADF
        self.comes(b"late")
        self.assertEqual((self.far_kernel.taken, self.near.connected), (b"", 1))

    def test_a_target_that_is_to_close(self) -> None:
        """What came before its closing is sent, in the order that it came."""
        self.comes(b"one ")
        self.far.write(b"two")
        self.far.loseConnection()
        self.round(3)
        self.assertEqual(self.far_kernel.taken, b"one two")

    def test_a_half_closed_target(self) -> None:
        """It was told that there is nothing more; nothing more comes, and it stays."""
        self.far.protocol = HalfCloseable()
        self.far.loseWriteConnection()
        self.round(3)
        self.far_kernel.error = errno.EPIPE
        self.comes(b"late")
        self.round(3)
        self.assertEqual((self.far_kernel.taken, self.far.connected), (b"", 1))

    def test_an_aborted_source(self) -> None:
        """Nothing more of it is read, not even what was there already."""
        self.near_kernel.incoming = [b"late"]
        self.near_kernel.peer.send(b"!")
        self.near.abortConnection()
        self.round(3)
        self.assertEqual(self.far_kernel.taken, b"")
        self.assertEqual(self.reactor.shortcuts, {})

    def test_no_more(self) -> None:
        """The protocol gets what comes, as before."""
        pass_on(self.near, None)
        self.comes(b"one")
        self.assertEqual((self.by_protocol, self.far_kernel.taken), (b"one", b"one"))

    def test_where_it_cannot_be(self) -> None:
        """With TLS, with transports that are not lean, and with those that are gone nothing happens: the protocol does it."""
        for spoil in (lambda: setattr(self.far, "TLS", True), lambda: setattr(self.near, "TLS", True)):
            spoil()
            pass_on(self.near, self.far)
            self.assertEqual(self.reactor.shortcuts, {})
            self.near.TLS = self.far.TLS = False
        pass_on(self.near, object())
        pass_on(object(), self.near)
        self.assertEqual(self.reactor.shortcuts, {})
        self.near.abortConnection()
        self.reactor.runUntilCurrent()
        self.round(2)
        pass_on(self.near, self.far)
        self.assertEqual(self.reactor.shortcuts, {})
