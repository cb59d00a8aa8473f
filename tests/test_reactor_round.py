"""gameroom.reactor_round and gameroom.shortcuts, beside `pass_on` (test_reactor.py): the short ways, and that each ends as the long one does."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.reactor import LeanServer
from gameroom.reactor_round import FEW, MUCH, SMALL_READ, TINY_READ, read_each
from gameroom.shortcuts import let_take, sender, sender_of
from tests.test_reactor import BUFFER, ConnectionCase, HalfCloseable, Kernel, Producer, ReactorCase, Recorder


class Taker(Recorder):
    """Its `take` takes capitals and leaves the rest from where something else begins; as `let_take` asks, its `dataReceived` asks that itself."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[bytes] = []
        self.systems_of_take: list[str] = []
        self.on_take: Any = lambda data: None

    def take(self, data: bytes) -> bytes:
        left = data.lstrip(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        self.taken.append(data[: len(data) - len(left)])
        self.systems_of_take.append(context.get(log.ILogContext)["system"])
        self.on_take(data)
        return left

    def dataReceived(self, data: bytes) -> None:
        if data := self.take(data):
            super().dataReceived(data)


class LaneCase(ReactorCase):
    """Connections whose small reads are given to `take`."""

    def setUp(self) -> None:
        super().setUp()
        self.protocol, self.connection, self.kernel = self.connected()

    def connected(self) -> tuple[Taker, Any, Kernel]:
        kernel, protocol = Kernel(), Taker()
        self.to_close.append(kernel)
        connection: Any = LeanServer(kernel, protocol, ("127.0.0.1", 1), None, 0, self.reactor)
        protocol.makeConnection(connection)
        let_take(connection, protocol.take)
        return protocol, connection, kernel

    def comes(self, *pieces: bytes) -> None:
        """So much comes, a piece a round."""
        for piece in pieces:
            self.kernel.incoming = [piece]
            self.kernel.peer.send(b"!")
            self.round()
            while self.kernel.incoming and not self.kernel.closed:
                self.round()
            if not self.kernel.closed:
                self.kernel.real.recv(1)

    @property
    def reasons(self) -> list[Any]:
        return [reason.type for reason in self.protocol.lost]

    @property
    def is_short(self) -> bool:
        return self.kernel.fileno() in self.reactor.shortcuts


class LaneTests(LaneCase):
    def test_taken(self) -> None:
        """Small reads are given to `take`, without a logging context, and the protocol does not hear of what that takes."""
        self.comes(b"ONE", b"TWO")
        self.assertEqual((self.protocol.taken, self.protocol.data), ([b"ONE", b"TWO"], b""))
        self.assertEqual(self.protocol.systems_of_take, ["-", "-"])
        self.assertEqual(self.kernel.asked, [TINY_READ] * 2)

    def test_larger(self) -> None:
        """A full read may have cut a message: the rest comes behind it, and from then on more is read at once."""
        self.comes(b"A" * (TINY_READ + 10), b"B" * (TINY_READ + 10), b"c")
        self.assertEqual(self.kernel.asked, [TINY_READ, *[SMALL_READ] * 3])
        self.assertEqual([len(taken) for taken in self.protocol.taken], [TINY_READ, 10, TINY_READ + 10, 0, 0])
        self.assertEqual(self.protocol.data, b"c")

    def test_left(self) -> None:
        """What `take` leaves is the protocol's, which is called in its logging context; and then it goes on as before."""
        self.comes(b"ABcd", b"ef", b"GH")
        self.assertEqual((self.protocol.data, self.protocol.systems), (b"cdef", ["Taker,0,127.0.0.1"] * 2))
        self.assertEqual([taken for taken in self.protocol.taken if taken], [b"AB", b"GH"])
        self.assertTrue(self.is_short)

    def test_what_the_protocol_raises(self) -> None:
        """It is logged, and ends the connection, as ever."""
        self.protocol.on_data = lambda data: 1 / 0
        self.comes(b"AB", b"cd")
        self.assertEqual((self.reasons, len(self.flushLoggedErrors(ZeroDivisionError))), ([ZeroDivisionError], 1))

    def test_much(self) -> None:
        """A full read is all the protocol's, and so is what follows, in large reads, until one brings little."""
        self.comes(b"A" * TINY_READ)
        self.kernel.asked.clear()
        self.protocol.systems_of_take.clear()
        self.comes(b"A" * SMALL_READ)
        self.assertEqual((self.is_short, self.protocol.systems_of_take), (False, ["Taker,0,127.0.0.1"]))
        self.comes(b"B" * (SMALL_READ + 1), b"C" * SMALL_READ)
        self.assertFalse(self.is_short)
        self.comes(b"DE")
        self.assertTrue(self.is_short)
        self.comes(b"FG")
        self.assertEqual(self.kernel.asked, [SMALL_READ, *[BUFFER] * 3, SMALL_READ])
        self.assertEqual(self.protocol.systems_of_take, [*["Taker,0,127.0.0.1"] * 4, "-"])
        self.assertEqual(b"".join(self.protocol.taken), b"A" * (TINY_READ + SMALL_READ) + b"B" * (SMALL_READ + 1) + b"C" * SMALL_READ + b"DEFG")

    def test_nearly_full(self) -> None:
        self.comes(b"A" * TINY_READ, b"A" * (SMALL_READ - 1))
        self.assertEqual((self.is_short, self.protocol.systems_of_take), (True, ["-"] * 2))

    def test_begun_amid_much(self) -> None:
        """Where reads are large already it begins with the next small one."""
        let_take(self.connection, None)
        self.comes(b"a" * SMALL_READ)
        let_take(self.connection, self.protocol.take)
        self.assertFalse(self.is_short)
        self.comes(b"b")
        self.assertTrue(self.is_short)

    def test_ended_amid_much(self) -> None:
        """One that has ended does not come back with the next small read."""
        self.comes(b"a" * SMALL_READ)
        let_take(self.connection, None)
        self.comes(b"b")
        self.assertFalse(self.is_short)

    def test_nothing_there(self) -> None:
        """An event with nothing to read is none."""
        self.kernel.peer.send(b"!")
        self.round()
        self.assertEqual((self.protocol.taken, self.reasons, self.is_short), ([], [], True))

    def test_the_end(self) -> None:
        """An end of file ends it as ever; nothing is left behind."""
        self.comes(b"AB", b"")
        self.assertEqual((self.protocol.taken, self.reasons, self.reactor.shortcuts), ([b"AB"], [ConnectionDone], {}))

    def test_half_close(self) -> None:
        """Protocols that can hear of it do, and the connection stays."""
        self.connection.protocol = HalfCloseable()
        self.comes(b"")
        self.assertEqual((self.connection.protocol.said, self.connection.connected), (["read"], 1))

    def test_reset(self) -> None:
        """An error in reading is the end."""

        def broken(size: int) -> bytes:
            raise OSError(errno.ECONNRESET, "from the kernel")

        self.kernel.recv = broken  # type: ignore[method-assign]
        let_take(self.connection, self.protocol.take)
        self.comes(b"never read")
        self.assertEqual((self.reasons, self.reactor.shortcuts), ([ConnectionLost], {}))

    def test_the_end_after_a_failed_send(self) -> None:
        """As without a lane it is no clean one."""
        self.kernel.error = errno.EPIPE
        self.connection.write(b"x")
        self.reactor._send_written()
        self.kernel.error = None
        self.assertEqual(self.reasons, [])
        self.reactor.shortcuts[self.kernel.fileno()].read()
        self.kernel.incoming = [b""]
        left = self.reactor.shortcuts[self.kernel.fileno()].read()
        assert left is not None
        self.assertIsInstance(left(), ConnectionLost)

    def test_no_more(self) -> None:
        """The protocol gets what comes, as before; or another one takes it."""
        let_take(self.connection, None)
        self.comes(b"AB")
        self.assertEqual((self.protocol.systems_of_take, self.reactor.shortcuts), (["Taker,0,127.0.0.1"], {}))
        others: list[bytes] = []

        def take(data: bytes) -> bytes:
            others.append(data)
            return b""

        let_take(self.connection, self.protocol.take)
        let_take(self.connection, take)
        self.comes(b"cd")
        self.assertEqual((others, self.protocol.data), ([b"cd"], b""))

    def test_ended_by_take(self) -> None:
        """What it leaves then is the protocol's, and all that follows."""
        self.protocol.on_take = lambda data: let_take(self.connection, None)
        self.comes(b"ABcd", b"EF")
        self.assertEqual((self.protocol.taken[0], self.protocol.data, self.is_short), (b"AB", b"cd", False))
        self.assertEqual(self.protocol.systems_of_take[-1], "Taker,0,127.0.0.1")

    def test_where_it_cannot_be(self) -> None:
        """With TLS, with transports that are not lean, and with those that are gone nothing happens: the protocol does it."""
        let_take(self.connection, None)
        self.connection.TLS = True
        let_take(self.connection, self.protocol.take)
        self.connection.TLS = False
        let_take(StringTransport(), self.protocol.take)
        let_take(None, self.protocol.take)
        self.connection.abortConnection()
        self.reactor.runUntilCurrent()
        let_take(self.connection, self.protocol.take)
        self.assertEqual((self.reasons, self.reactor.shortcuts), ([ConnectionAborted], {}))

    @given(st.lists(st.integers(0, 3 * SMALL_READ), max_size=8), st.lists(st.booleans(), max_size=8))
    def test_nothing_is_lost(self, sizes: list[int], on: list[bool]) -> None:
        """Whatever comes in whatever reads, and whenever it begins and ends: all of it is taken or the protocol's, once and in order."""
        self.protocol, self.connection, self.kernel = self.connected()
        came: list[bytes] = []

        def take(data: bytes) -> bytes:
            came.append(data[: len(data) // 2])
            return data[len(data) // 2 :]

        self.protocol.take = take  # type: ignore[method-assign]
        self.protocol.dataReceived = came.append  # type: ignore[method-assign,assignment]
        given_to_it = b""
        for number, size in enumerate(sizes):
            let_take(self.connection, take if number >= len(on) or on[number] else None)
            data = bytes([number]) * size
            given_to_it += data
            if data:
                self.comes(data)
            self.assertEqual(b"".join(came), given_to_it)
        self.assertEqual(self.kernel.asked, [each for each in self.kernel.asked if each in (TINY_READ, SMALL_READ, BUFFER)])
        self.connection.connectionLost(Failure(ConnectionLost()))


class OneRoundTests(LaneCase):
    """Two connections that both have something, where the first that is heard does something to the other."""

    crowd = 0
    """How many others have something in that round as well."""

    def setUp(self) -> None:
        super().setUp()
        self.others = [self.connected() for _ in range(self.crowd)]
        self.other, self.far, self.far_kernel = self.connected()
        self.takers = {self.connection: self.protocol, self.far: self.other}

    def both(self, deed: Any) -> None:
        """Both have something in one round; `deed` is done to the one that comes second."""
        for mine, other in ((self.protocol, self.far), (self.other, self.connection)):
            mine.on_take = lambda data, other=other: None if self.takers[other].taken else deed(other)
        for kernel in (self.kernel, self.far_kernel, *(kernel for _, _, kernel in self.others)):
            kernel.incoming = [b"AB"]
            kernel.peer.send(b"!")
        self.round()
        self.assertEqual([protocol.taken for protocol, _, _ in self.others], [[b"AB"]] * self.crowd)

    @property
    def taken(self) -> list[bytes]:
        return [*self.protocol.taken, *self.other.taken]

    def test_both(self) -> None:
        self.both(lambda connection: None)
        self.assertEqual(self.taken, [b"AB", b"AB"])

    def closed(self, deed: str, why: type[Exception]) -> None:
        """What had come at one that was closed in this round is taken by nobody."""
        self.both(lambda connection: getattr(connection, deed)())
        self.round(2)
        self.assertEqual(self.taken, [b"AB"])
        self.assertEqual([reason.type for protocol in self.takers.values() for reason in protocol.lost], [why])
        self.assertEqual(len(self.reactor.shortcuts), 1 + self.crowd)

    def test_closed(self) -> None:
        self.closed("loseConnection", ConnectionDone)

    def test_aborted(self) -> None:
        self.closed("abortConnection", ConnectionAborted)

    def test_paused(self) -> None:
        """What has come at one that was paused in this round waits until it is resumed."""
        self.both(lambda connection: connection.pauseProducing())
        self.round()
        self.assertEqual(self.taken, [b"AB"])
        for connection in self.takers:
            connection.resumeProducing()
        self.round()
        self.assertEqual(self.taken, [b"AB", b"AB"])


class CrowdedRoundTests(OneRoundTests):
    """The same in a round of many, where all is read before anything is heard."""

    crowd = FEW

    def test_paused_for_long(self) -> None:
        """What was read before is heard first, and in its logging context; not while it is paused again."""
        self.both(lambda connection: connection.pauseProducing())
        paused = self.far if self.protocol.taken else self.connection
        protocol, kernel = (self.other, self.far_kernel) if paused is self.far else (self.protocol, self.kernel)
        paused.resumeProducing()
        paused.pauseProducing()
        kernel.incoming = [b"CD"]
        self.round(2)
        self.assertEqual(protocol.taken, [])
        paused.resumeProducing()
        self.reactor.runUntilCurrent()
        self.assertEqual((protocol.taken, protocol.systems_of_take), ([b"AB"], ["Taker,0,127.0.0.1"]))
        self.round()
        self.assertEqual(protocol.taken, [b"AB", b"CD"])

    def test_what_take_raises(self) -> None:
        """It never does; if it does, it is logged, ends the connection, and all others are heard."""
        self.both(lambda connection: 1 / 0)
        self.assertEqual((len(self.taken), len(self.flushLoggedErrors(ZeroDivisionError))), (2, 1))
        self.assertEqual(sorted(len(protocol.lost) for protocol in self.takers.values()), [0, 1])

    def test_paused_and_reset(self) -> None:
        """The kernel says but once that a connection was lost."""

        says = [OSError(errno.ECONNRESET, "from the kernel")]

        def broken(size: int) -> bytes:
            if says:
                raise says.pop()
            return b""

        self.far_kernel.recv = broken  # type: ignore[method-assign]
        let_take(self.far, self.other.take)
        self.both(lambda connection: self.far.pauseProducing())
        self.protocol.on_take = lambda data: None
        self.far.resumeProducing()
        self.round()
        self.assertEqual([reason.type for reason in self.other.lost], [ConnectionLost])

    def test_lane_is_over(self) -> None:
        """What was read by a lane that is over by now is the protocol's."""
        self.both(lambda connection: let_take(connection, None))
        self.assertEqual(sorted(self.protocol.systems_of_take + self.other.systems_of_take), ["-", "Taker,0,127.0.0.1"])
        self.assertEqual(self.taken, [b"AB", b"AB"])

    def test_reset(self) -> None:
        """One whose reading fails is lost; all others are heard."""

        def broken(size: int) -> bytes:
            raise OSError(errno.ECONNRESET, "from the kernel")

        self.kernel.recv = broken  # type: ignore[method-assign]
        let_take(self.connection, self.protocol.take)
        self.both(lambda connection: None)
        self.assertEqual((self.taken, [reason.type for reason in self.protocol.lost]), ([b"AB"], [ConnectionLost]))


class FewTests(LaneCase):
    """Connections that are all heard in one round, each of which is given something for it."""

    def sends_seen(self, connections: int) -> list[int]:
        """How many had been sent theirs, as each of them was heard, and after the round."""
        all_of_them = [(self.protocol, self.connection, self.kernel), *(self.connected() for _ in range(connections - 1))]
        seen: list[int] = []

        def heard(give: Callable[[bytes], None], data: bytes) -> None:
            seen.append(sum(kernel.sends for _, _, kernel in all_of_them))
            give(b"M")

        for protocol, connection, kernel in all_of_them:
            protocol.on_take = partial(heard, sender(connection))
            kernel.incoming = [b"AB"]
            kernel.peer.send(b"!")
        self.round()
        return [*seen, sum(kernel.sends for _, _, kernel in all_of_them)]

    def test_few(self) -> None:
        """What one is given is sent before the next is heard."""
        self.assertEqual(self.sends_seen(FEW), [*range(FEW), FEW])

    def test_many(self) -> None:
        """All of it is sent when all are heard."""
        self.assertEqual(self.sends_seen(FEW + 1), [*[0] * (FEW + 1), FEW + 1])


class EventsTests(SynchronousTestCase):
    """`read_each`, with two events of one round, the second of which is another's when the first has been handled."""

    def handled(self, event: int) -> list[str]:
        heard: list[str] = []
        selectables = {1: "one", 2: "two"}

        def handle(selectable: str, fd: int, event: int, left: Any) -> None:
            heard.append(selectable)
            selectables[2] = "three"

        read_each([(1, EPOLLIN), (2, event)], {}, selectables, [], handle)
        return heard

    def test_an_end_of_another(self) -> None:
        """That its peer is gone, has failed or may be sent to is told to nobody who was not there."""
        for event in (EPOLLHUP, EPOLLIN | EPOLLHUP, EPOLLERR, EPOLLOUT):
            self.assertEqual(self.handled(event), ["one"])

    def test_something_to_read(self) -> None:
        """Who is told in vain that there is something to read finds nothing."""
        self.assertEqual(self.handled(EPOLLIN), ["one", "three"])


class Asked:
    """An epoll object that notes how long it is to wait, and does not."""

    def __init__(self, poller: Any) -> None:
        self.poller = poller
        self.timeouts: list[float] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        self.timeouts.append(timeout)
        found: list[tuple[int, int]] = self.poller.poll(0, most)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.poller, name)


class SenderTests(ConnectionCase):
    twins: list[tuple[Any, Kernel, Any, Any]]
    """Two connections, of which one is sent to, and the other written to."""

    def connect(self, protocol: Any) -> None:
        super().connect(protocol)
        self.send = sender(self.connection)

    def test_one_send_for_a_round(self) -> None:
        """All that is sent in one round goes at its end by one call, and the connection is one that waits to write until then."""
        self.send(b"one")
        self.send(b"two")
        self.assertEqual((self.kernel.sends, self.reactor.getWriters()), (0, [self.connection]))
        self.round()
        self.assertEqual((self.kernel.taken, self.kernel.sends, self.reactor.getWriters()), (b"onetwo", 1, []))
        self.round()
        self.assertEqual(self.kernel.sends, 1)

    def test_much(self) -> None:
        """It does not wait for the end of the round with more than 64 KiB."""
        self.send(b"x" * MUCH)
        self.assertEqual(self.kernel.sends, 0)
        self.send(b"y")
        self.assertEqual((self.kernel.taken, self.kernel.sends), (b"x" * MUCH + b"y", 1))
        self.send(b"z")
        self.round()
        self.assertEqual((self.kernel.taken[MUCH:], self.kernel.sends), (b"yz", 2))

    def test_at_once(self) -> None:
        """What must not wait for the end of the round does not, where nothing is before it."""
        mine = sender_of(self.connection)
        mine.at_once(b"one")
        self.assertEqual((self.kernel.taken, self.reactor.getWriters()), (b"one", []))
        mine(b"two")
        mine.at_once(b"three")
        self.assertEqual(self.kernel.taken, b"one")
        self.round()
        self.assertEqual((self.kernel.taken, self.kernel.sends), (b"onetwothree", 2))

    def test_one_for_each_connection(self) -> None:
        """Whoever asks for it gets the same: what one of them has given it goes before what the next does."""
        first, second = self.send, sender(self.connection)
        first(b"a")
        second(b"b")
        first(b"c")
        self.round()
        self.assertEqual((self.kernel.taken, self.kernel.sends), (b"abc", 1))

    def test_behind_what_was_written(self) -> None:
        """What was written before it in this round goes before it, and what is written afterwards behind it."""
        self.connection.write(b"a")
        self.send(b"b")
        self.connection.write(b"c")
        self.send(b"d")
        self.connection.writeSequence([b"e", b"f"])
        self.send(b"g")
        self.assertEqual(self.kernel.taken, b"")
        self.rounds()
        self.assertEqual(self.kernel.taken, b"abcdefg")

    def test_tail(self) -> None:
        """What the kernel leaves waits for epoll, and all that is sent later behind it."""
        self.kernel.room = 3
        self.send(b"abcdef")
        self.round()
        self.assertEqual((self.kernel.taken, self.asks_epoll), (b"abc", True))
        self.send(b"gh")
        self.connection.write(b"ij")
        self.kernel.room = 100
        self.rounds()
        self.assertEqual((self.kernel.taken, self.asks_epoll), (b"abcdefghij", False))
        self.send(b"k")
        self.round()
        self.assertEqual(self.kernel.taken, b"abcdefghijk")

    def test_full(self) -> None:
        """A kernel without room, or for now without memory, takes nothing, and it is no error."""
        for error in (errno.EWOULDBLOCK, errno.ENOBUFS):
            self.connect(Recorder())
            self.kernel.error = error
            self.send(b"abc")
            self.round()
            self.send(b"def")
            self.round(2)
            self.assertEqual((self.asks_epoll, self.reasons), (True, []))
            self.kernel.error = None
            self.rounds()
            self.assertEqual(self.kernel.taken, b"abcdef")

    def test_broken(self) -> None:
        """Nobody is told in that round; then it ends with ConnectionLost, though the kernel would take bytes again."""
        for error in (errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT):
            self.connect(Recorder())
            self.kernel.error = error
            self.send(b"abc")
            self.reactor._send_written()
            self.kernel.error = None
            self.assertEqual((self.reasons, self.waits_to_write), ([], True))
            self.send(b"def")
            self.round()
            self.assertEqual((self.reasons, self.kernel.taken), ([ConnectionLost], b""))

    def test_closing(self) -> None:
        """All that was sent in that round goes before the end, and nothing after it."""
        self.send(b"ab")
        self.connection.loseConnection()
        self.send(b"c")
        self.assertEqual(self.kernel.taken, b"")
        self.round(3)
        self.assertEqual((self.kernel.taken, self.reasons), (b"abc", [ConnectionDone]))
        self.send(b"def")
        self.round()
        self.assertEqual((self.kernel.taken, self.reactor.getWriters()), (b"abc", []))

    def test_closed_before_it_can_be_sent(self) -> None:
        """What is sent before a close goes before it, also where the kernel has room again in that very round."""
        for end in ("loseConnection", "loseWriteConnection"):
            self.connect(HalfCloseable())
            self.kernel.room = 3
            self.connection.write(b"abcdef")
            self.round()
            self.kernel.room = 100
            self.send(b"gh")
            getattr(self.connection, end)()
            self.reactor._doReadOrWrite(self.connection, self.kernel.fileno(), EPOLLOUT)
            self.round(2)
            self.assertEqual(self.kernel.taken, b"abcdefgh", end)

    def test_in_the_clear(self) -> None:
        """What was sent before TLS goes before it in plain, and nothing does afterwards."""
        self.send(b"go ahead")
        begun: list[bytes] = []
        self.patch(tcp.Connection, "startTLS", lambda connection, ctx, normal: begun.append(b"".join(connection._tempDataBuffer)))
        self.connection.startTLS(None)
        self.connection.TLS = True
        ciphered: list[bytes] = []
        self.protocol.write = ciphered.append
        self.send(b"secret")
        self.round()
        self.assertEqual((begun, ciphered, self.kernel.taken), ([b"go ahead"], [b"secret"], b"go ahead"))

    def test_sent_by_another_s_producer(self) -> None:
        """What a producer sends elsewhere when it is paused does not wait while the reactor waits."""
        other, kernel = self.send, self.kernel
        self.connect(Recorder())
        producer = Producer()
        self.connection.registerProducer(producer, True)
        producer.on_pause = lambda: other(b"paused")
        self.kernel.room = 10
        self.send(b"x" * (BUFFER + 11))
        asked = Asked(self.reactor._poller)
        self.patch(self.reactor, "_poller", asked)
        self.reactor.doIteration(50.0)
        self.assertEqual((asked.timeouts, kernel.taken), ([0], b"paused"))
        self.connection.abortConnection()

    def test_lost(self) -> None:
        """What waited for the end of the round in which it was lost is dropped."""
        self.send(b"abc")
        self.connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.reactor.getWriters(), [])
        self.round()
        self.assertEqual((self.kernel.sends, self.reactor.getWriters()), (0, []))

    def test_aborted(self) -> None:
        """Nothing of what is sent in that round or later; as with `write`."""
        self.kernel.room = 1
        self.send(b"abc")
        self.round()
        self.kernel.room = 100
        self.connection.abortConnection()
        self.send(b"def")
        self.assertEqual((self.kernel.taken, self.reasons), (b"a", []))
        self.round(2)
        self.send(b"ghi")
        self.round()
        self.assertEqual((self.kernel.taken, self.reasons), (b"a", [ConnectionAborted]))

    def test_half_closed(self) -> None:
        """Behind what was sent its sending side is shut down, and what comes later is dropped."""
        self.connect(HalfCloseable())
        self.kernel.room = 1
        self.send(b"abc")
        self.connection.loseWriteConnection()
        self.send(b"def")
        self.round()
        self.kernel.room = 100
        self.round(3)
        self.assertEqual((self.kernel.taken, self.kernel.shut), (b"abcdef", [1]))
        self.send(b"late")
        self.round(3)
        self.assertEqual((self.kernel.taken, self.connection.connected, self.waits_to_write), (b"abcdef", 1, False))

    def test_producers(self) -> None:
        """The producer of too much is paused when the kernel does not take it, and resumed when all is sent."""
        producer = Producer()
        self.connection.registerProducer(producer, True)
        self.kernel.room = BUFFER + 20
        self.send(b"x" * (BUFFER + 10))
        self.round()
        self.send(b"x" * BUFFER)
        self.round()
        self.assertEqual((producer.said, self.kernel.room, self.asks_epoll), ([], 0, True))
        self.send(b"x" * 20)
        self.round()
        self.assertEqual(producer.said, ["pause"])
        self.kernel.room = 1_000_000
        self.rounds()
        self.assertEqual(producer.said, ["pause", "resume"])

    def test_producer_of_a_tail(self) -> None:
        """Of what was sent too much may be left; what the producer sends while it is paused goes behind it."""
        producer = Producer()
        self.connection.registerProducer(producer, True)
        producer.on_pause = lambda: self.send(b"p") if len(producer.said) == 1 else None
        producer.on_resume = lambda: (self.send(b"q"), self.send(b"r"))
        self.kernel.room = 10
        self.send(b"x" * (BUFFER + 11))
        self.round()
        self.assertEqual(producer.said[:1], ["pause"])
        self.kernel.room = 1_000_000
        self.round(20)
        self.assertIn("resume", producer.said)
        self.assertTrue(self.kernel.taken.startswith(b"x" * (BUFFER + 11) + b"pqr"))

    def test_a_producer_that_fails(self) -> None:
        """One whose producer raises holds up nobody else's bytes."""
        producer = Producer()
        self.connection.registerProducer(producer, True)
        producer.on_pause = lambda: 1 / 0
        self.kernel.room = 10
        self.send(b"x" * (BUFFER + 11))
        self.connect(Recorder())
        self.send(b"mine")
        self.round()
        self.assertEqual((self.kernel.taken, len(self.flushLoggedErrors(ZeroDivisionError))), (b"mine", 1))

    def test_made_after_the_end(self) -> None:
        """One that is first asked for when the connection is aborted already sends nothing."""
        self.connect(Recorder())
        self.connection.sender = None
        self.connection.abortConnection()
        sender(self.connection)(b"late")
        self.round()
        self.assertEqual((self.kernel.sends, self.reasons), (0, [ConnectionAborted]))

    def test_removed(self) -> None:
        """A reactor that stops names who had something to send."""
        self.send(b"abc")
        self.assertIn(self.connection, self.reactor.removeAll())
        self.assertEqual(self.reactor.getWriters(), [])

    def test_where_it_cannot_be(self) -> None:
        """Others are written to, and so is TLS."""
        transport: Any = StringTransport()
        sender(transport)(b"abc")
        self.assertEqual(transport.value(), b"abc")
        self.connection.TLS = True
        plain: list[bytes] = []
        self.protocol.write = plain.append
        sender(self.connection)(b"secret")
        self.assertEqual((plain, self.kernel.taken), ([b"secret"], b""))

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("send"), st.binary(max_size=9)),
                st.tuples(st.just("send"), st.binary(max_size=9)),
                st.tuples(st.just("write"), st.tuples(st.binary(max_size=9))),
                st.tuples(st.just("room"), st.integers(0, 12)),
                st.tuples(st.sampled_from(["round", "EPOLLOUT", "loseConnection", "loseWriteConnection", "abortConnection", "broken"]), st.just(())),
            ),
            max_size=25,
        ),
        st.booleans(),
        st.booleans(),
    )
    def test_as_written(self, steps: list[tuple[str, Any]], half: bool, behind: bool) -> None:
        """After each round all is as if it had been written, whatever else was done to the connection, and in whatever order.

        Half of them begin with something that the kernel did not take yet.
        """
        if behind:
            steps = [("room", 3), ("write", (b"before",)), ("round", ()), ("room", 9), *steps]
        self.twins = []
        for shortly in (True, False):
            self.connect(HalfCloseable() if half else Recorder())
            self.twins.append((self.connection, self.kernel, self.protocol, self.send if shortly else self.connection.write))
        for name, value in steps:
            for connection, kernel, _, send in self.twins:
                self.step(name, value, connection, kernel, send)
            if name == "round":
                self.compare()
        for _, kernel, _, _ in self.twins:
            kernel.room = 1_000_000
        for _ in range(3):
            self.compare()
        for connection, *_ in self.twins:
            connection.abortConnection()
        self.round()

    def step(self, name: str, value: Any, connection: Any, kernel: Kernel, send: Any) -> None:
        if name == "room":
            kernel.room = value
        elif name == "broken":
            kernel.error = errno.EPIPE
        elif name == "send":
            send(value)
        elif name == "EPOLLOUT":
            # It comes in the midst of a round.
            if kernel.fileno() in self.reactor._writes:
                self.reactor._doReadOrWrite(connection, kernel.fileno(), EPOLLOUT)
        elif name != "round" and connection.connected:
            getattr(connection, name)(*value)

    def compare(self) -> None:
        """A round, and both are the same after it."""
        self.round()
        seen = []
        for connection, kernel, protocol, _ in self.twins:
            waits = connection in self.reactor.getWriters()
            reasons = protocol.said if isinstance(protocol, HalfCloseable) else [reason.type for reason in protocol.lost]
            seen.append((kernel.taken, kernel.shut, kernel.closed, connection.connected, waits, reasons))
        self.assertEqual(*seen)
