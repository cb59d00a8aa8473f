"""The outgoing side of one connection."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IPushProducer
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gameroom.doors.outbox import EnvelopeOutbox, FrameOutbox, Outbox
from gameroom.shortcuts import sender
from gameroom.wire.room_messages import Outgoing, Outgoings, Told
from tests.test_reactor import ConnectionCase


class Reader:
    """A transport that takes `room` bytes, then pauses its producer, as Twisted's do: what is over still counts as written."""

    def __init__(self, room: int, queue_bytes: int = 1000) -> None:
        self.got: list[bytes] = []
        self.room = room
        self.overflows = 0
        self.outbox = Outbox(self.write, queue_bytes, self.overflow)

    def overflow(self) -> None:
        self.overflows += 1

    def write(self, data: bytes) -> None:
        self.got.append(data)
        self.room -= len(data)
        if self.room < 0:
            self.outbox.pauseProducing()

    def take(self, room: int) -> None:
        """The reader has read what it was given and has room for as much again."""
        self.room = room
        self.outbox.resumeProducing()

    @property
    def data(self) -> bytes:
        return b"".join(self.got)


class OutboxTests(SynchronousTestCase):
    def test_producer(self) -> None:
        """A transport may register it as its streaming producer."""
        self.assertTrue(verifyObject(IPushProducer, Reader(10).outbox))

    def test_straight_through(self) -> None:
        """While the reader reads, each message is one write at once and nothing is queued."""
        reader = Reader(100)
        reader.outbox.send(b"a")
        reader.outbox.send(b"b")
        self.assertEqual(([b"a", b"b"], 0), (reader.got, reader.outbox.queued_bytes))

    def test_waits_and_goes_on_in_order(self) -> None:
        """While the reader does not read messages wait; then they come in order, joined into one write."""
        reader = Reader(1)
        for data in (b"aa", b"bb", b"cc", b"dd"):
            reader.outbox.send(data)
        self.assertEqual(([b"aa"], 6, True), (reader.got, reader.outbox.queued_bytes, reader.outbox.paused))
        reader.take(100)
        self.assertEqual(([b"aa", b"bbccdd"], 0, False), (reader.got, reader.outbox.queued_bytes, reader.outbox.paused))
        reader.outbox.send(b"ee")
        self.assertEqual(b"ee", reader.got[-1])

    def test_drains_in_portions(self) -> None:
        """A long queue is not thrown at the transport at once: it goes by batches until the transport pauses again."""
        reader = Reader(-1, queue_bytes=10_000_000)
        reader.outbox.pauseProducing()
        for _ in range(100):
            reader.outbox.send(b"x" * 10_000)
        reader.take(100_000)
        self.assertLess(len(reader.data), 200_000)
        self.assertEqual(1_000_000, len(reader.data) + reader.outbox.queued_bytes)

    def test_straight_through_again(self) -> None:
        """When all that waited is written, what is sent goes straight to the transport, and no queue is kept."""
        reader = Reader(1)
        for data in (b"aa", b"bb"):
            reader.outbox.send(data)
        self.assertFalse(reader.outbox.ready)
        reader.take(100)
        self.assertTrue(reader.outbox.ready)
        self.assertIsNone(reader.outbox._waiting)
        reader.outbox.send(b"cc")
        self.assertEqual([b"aa", b"bb", b"cc"], reader.got)

    def test_overflow_once(self) -> None:
        """Past its limit everything is dropped, the door is told once, and later messages are ignored."""
        reader = Reader(100, queue_bytes=4)
        reader.outbox.pauseProducing()
        reader.outbox.send(b"1234")
        self.assertEqual(0, reader.overflows)
        for _ in range(3):
            reader.outbox.send(b"5")
        self.assertEqual((1, 0), (reader.overflows, reader.outbox.queued_bytes))
        reader.outbox.resumeProducing()
        self.assertEqual(b"", reader.data)

    def test_patient_messages_do_not_count(self) -> None:
        """An answer waits for any length of time, in its place, whatever its size."""
        reader = Reader(100, queue_bytes=4)
        reader.outbox.send_patiently(b"<now>")
        reader.outbox.pauseProducing()
        reader.outbox.send(b"a")
        reader.outbox.send_patiently(b"<answer>")
        reader.outbox.send(b"b")
        self.assertEqual((0, 2, 8), (reader.overflows, reader.outbox.queued_bytes, reader.outbox.patient_bytes))
        reader.outbox.resumeProducing()
        self.assertEqual((b"<now>a<answer>b", 0), (reader.data, reader.outbox.patient_bytes))

    def test_history_at_the_readers_pace(self) -> None:
        """History is pulled only while there is room; live messages wait behind it and it does not count to the limit."""
        reader = Reader(3, queue_bytes=8)
        pieces = [b"h%d" % number for number in range(6)]
        reader.outbox.catch_up(lambda: pieces.pop(0) if pieces else None)
        self.assertEqual((b"h0h1", 4), (reader.data, len(pieces)))
        reader.outbox.send(b"live")
        reader.take(3)
        self.assertEqual(b"h0h1h2h3", reader.data)
        reader.take(100)
        self.assertEqual(b"h0h1h2h3h4h5live", reader.data)
        self.assertEqual(0, reader.overflows)

    def test_source_that_sends(self) -> None:
        """What a source sends from inside comes after the history, not before its next piece."""
        reader = Reader(100)
        pieces = [b"1", b"2"]

        def source() -> bytes | None:
            reader.outbox.send(b"!")
            return pieces.pop(0) if pieces else None

        reader.outbox.catch_up(source)
        self.assertEqual(b"12!!!", reader.data)

    def test_when_sent(self) -> None:
        """The callback comes at once where nothing waits, else after all that waited."""
        reader = Reader(100)
        seen: list[bytes] = []
        reader.outbox.when_sent(lambda: seen.append(reader.data))
        reader.outbox.pauseProducing()
        reader.outbox.send(b"last")
        reader.outbox.when_sent(lambda: seen.append(reader.data))
        self.assertEqual([b""], seen)
        reader.outbox.resumeProducing()
        self.assertEqual([b"", b"last"], seen)

    def test_gone(self) -> None:
        """After the connection has gone nothing is written, queued or pulled."""
        reader = Reader(100)
        reader.outbox.pauseProducing()
        reader.outbox.send(b"a")
        reader.outbox.stopProducing()
        reader.outbox.send(b"b")
        reader.outbox.send_patiently(b"c")
        reader.outbox.catch_up(lambda: self.fail("pulled from a dead connection"))
        reader.outbox.resumeProducing()
        self.assertEqual((b"", 0, 0), (reader.data, reader.outbox.queued_bytes, reader.overflows))

    def test_gone_while_draining(self) -> None:
        """A source may end the connection."""
        reader = Reader(100)
        reader.outbox.catch_up(reader.outbox.stopProducing)
        reader.outbox.send(b"x")
        self.assertEqual(b"", reader.data)

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("send"), st.integers(1, 9)),
                st.tuples(st.just("patient"), st.integers(1, 9)),
                st.tuples(st.just("history"), st.integers(0, 5)),
                st.tuples(st.just("take"), st.integers(0, 30)),
            ),
            max_size=60,
        )
    )
    def test_order_holds(self, steps: list[tuple[str, int]]) -> None:
        """Whatever the reader's pace: everything arrives once and in order."""
        reader = Reader(5, queue_bytes=1_000_000)
        expected: list[bytes] = []
        count = 0
        for kind, size in steps:
            count += 1
            if kind == "take":
                reader.take(size)
                continue
            data = [b"%d." % count * size] if kind != "history" else [b"%d-%d." % (count, piece) for piece in range(size)]
            expected += data
            if kind == "history":
                reader.outbox.catch_up(iter([*data, None]).__next__)
            else:
                (reader.outbox.send if kind == "send" else reader.outbox.send_patiently)(data[0])
        reader.take(1_000_000)
        self.assertEqual(b"".join(expected), reader.data)


class FrameOutboxTests(SynchronousTestCase):
    """A web socket's stops reading while it is not read."""

    def test_reads_while_it_is_read(self) -> None:
        """While the transport has more than it can send, nothing is read from that peer."""
        transport = StringTransport()
        pace = FrameOutbox(transport, 100, lambda: None)
        transport.registerProducer(pace, True)
        pace.pauseProducing()
        self.assertEqual(transport.producerState, "paused")
        pace.send(b"later")
        self.assertEqual(transport.value(), b"")
        pace.resumeProducing()
        self.assertEqual((transport.producerState, transport.value()), ("producing", b"later"))

    def test_held(self) -> None:
        """Nothing is read until the peer is both read and let go, in either order."""
        transport = StringTransport()
        pace = FrameOutbox(transport, 100, lambda: None)
        transport.registerProducer(pace, True)
        for first, second in ((pace.let_go, pace.resumeProducing), (pace.resumeProducing, pace.let_go)):
            pace.hold()
            pace.pauseProducing()
            self.assertEqual((transport.producerState, pace.reading), ("paused", False))
            first()
            self.assertEqual((transport.producerState, pace.reading), ("paused", False))
            second()
            self.assertEqual((transport.producerState, pace.reading), ("producing", True))


class DeliverTests(SynchronousTestCase):
    """What is delivered, at both kinds of doors."""

    def setUp(self) -> None:
        self.told = [Outgoing(b"1", binary=True), Outgoing(b'{"type":"x"}'), Outgoings([Outgoing(b"2", binary=True), Outgoing(b"[]")])]
        self.doors: list[tuple[FrameOutbox | EnvelopeOutbox, StringTransport, list[bytes]]] = []
        for of_socket in (True, False):
            transport = StringTransport()
            outbox = FrameOutbox(transport, 100, self.overflowed) if of_socket else EnvelopeOutbox(transport.write, 100, self.overflowed)
            self.doors.append((outbox, transport, [self.form(each, of_socket) for each in self.told]))
        self.overflows = 0

    def overflowed(self) -> None:
        self.overflows += 1

    def form(self, told: Told, of_socket: bool) -> bytes:
        return told.framed() if of_socket else told.enveloped()

    def test_its_form(self) -> None:
        """A socket's in frames, the game port's in envelopes, one message as several."""
        self.assertEqual(Outgoings([Outgoing(b"2", binary=True), Outgoing(b"[]")]).framed(), b"\x82\x012\x81\x02[]")
        for outbox, transport, forms in self.doors:
            for each in self.told:
                outbox.deliver(each)
            self.assertEqual((transport.value(), outbox.queued_bytes), (b"".join(forms), 0))

    def test_while_it_is_paused(self) -> None:
        """It waits in its place among all else, and counts."""
        for outbox, transport, forms in self.doors:
            outbox.pauseProducing()
            outbox.send(b"<before>")
            outbox.deliver(self.told[0])
            outbox.catch_up(iter([b"<history>", None]).__next__)
            outbox.deliver(self.told[2])
            outbox.send(b"<behind>")
            self.assertEqual((transport.value(), outbox.queued_bytes), (b"", 16 + len(forms[0]) + len(forms[2])))
            outbox.resumeProducing()
            self.assertEqual(transport.value(), b"<before>" + forms[0] + b"<history>" + forms[2] + b"<behind>")

    def test_too_slow(self) -> None:
        """Past its limit the door is told, once, and nothing is delivered any more."""
        for outbox, transport, _ in self.doors:
            self.overflows = 0
            outbox.pauseProducing()
            for _ in range(200):
                outbox.deliver(self.told[0])
            outbox.resumeProducing()
            outbox.deliver(self.told[0])
            self.assertEqual((self.overflows, transport.value(), outbox.queued_bytes), (1, b"", 0))

    def test_sealed(self) -> None:
        """Nothing is delivered, whether it is read or not; what waited and what is sent still goes, and nothing counts that does not."""
        for outbox, transport, forms in self.doors:
            outbox.sealed = True
            outbox.deliver(self.told[0])
            self.assertEqual(transport.value(), b"")
            outbox.sealed = False
            outbox.pauseProducing()
            outbox.deliver(self.told[1])
            outbox.sealed = True
            outbox.send(b"<close>")
            outbox.deliver(self.told[2])
            self.assertEqual(outbox.queued_bytes, len(forms[1]) + len(b"<close>"))
            outbox.resumeProducing()
            outbox.deliver(self.told[0])
            self.assertEqual(transport.value(), forms[1] + b"<close>")


class DeliverBySenderTests(ConnectionCase):
    """What is delivered to a connection of the lean reactor."""

    def test_when_the_round_ends(self) -> None:
        """All of it by one call, behind what was written before; and what is written then goes behind it."""
        outbox = FrameOutbox(self.connection, 1000, self.fail)
        self.connection.write(b"<before>")
        outbox.write = sender(self.connection)
        outbox.deliver(Outgoing(b"1", binary=True))
        outbox.deliver(Outgoings([Outgoing(b"2", binary=True), Outgoing(b"3", binary=True)]))
        self.assertEqual(self.kernel.taken, b"")
        self.round()
        self.assertEqual(self.kernel.taken, b"<before>\x82\x011\x82\x012\x82\x013")
        outbox.deliver(Outgoing(b"4", binary=True))
        self.connection.write(b"<behind>")
        self.round()
        self.assertTrue(self.kernel.taken.endswith(b"\x82\x014<behind>"))
