"""gameroom.listeners: connections that are told the same together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.outbox import EnvelopeOutbox, FrameOutbox
from gameroom.listeners import Listeners
from gameroom.wire.room_messages import Outgoing, Outgoings
from tests.referees.lockstep_world import FakeConnection


class Connection:
    """One that has an outlet, and is not to be asked itself. `on_write` is called behind each write."""

    def __init__(self, of_socket: bool = False, queue_bytes: int = 1000) -> None:
        self.written: list[bytes] = []
        self.on_write: Callable[[], Any] = lambda: None
        self.overflows = 0
        if of_socket:
            transport = StringTransport()
            transport.write = self.write  # type: ignore[method-assign]
            self.outlet: Any = FrameOutbox(transport, queue_bytes, self.overflow)
        else:
            self.outlet = EnvelopeOutbox(self.write, queue_bytes, self.overflow)

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.on_write()

    def overflow(self) -> None:
        self.overflows += 1


FIRST, SECOND, THIRD = (Outgoing(b"%d" % number, binary=True) for number in range(3))


class ListenersTests(SynchronousTestCase):
    def test_everyone_is_told(self) -> None:
        """By outlets in the form of their doors, by `deliver` where there is none."""
        socket, native, other = Connection(of_socket=True), Connection(), FakeConnection()
        listeners = Listeners([other, socket, native])
        listeners.give(FIRST)
        self.assertEqual((socket.written, native.written, other.got), ([FIRST.framed()], [FIRST.enveloped()], [FIRST]))

    def test_several_together(self) -> None:
        """As one write where there is an outlet, and by `deliver_all` where there is none."""
        socket, native, other = Connection(of_socket=True), Connection(), FakeConnection()
        told: list[Outgoings] = []
        other.deliver_all = told.append  # type: ignore[assignment,method-assign]
        together = Outgoings([FIRST, SECOND])
        Listeners([socket, native, other]).give(together)
        self.assertEqual(socket.written, [FIRST.framed() + SECOND.framed()])
        self.assertEqual((native.written, told), ([FIRST.enveloped() + SECOND.enveloped()], [together]))

    def test_who_is_among_them(self) -> None:
        """Each is told once, from when it was added until it was taken away."""
        one, two, other = Connection(), Connection(), FakeConnection()
        listeners = Listeners([one])
        for connection in (two, other, one):
            listeners.add(connection)
        self.assertEqual((len(listeners), listeners.connections), (3, [one, two, other]))
        listeners.give(FIRST)
        for connection in (two, other, two):
            listeners.discard(connection)
        self.assertEqual([connection in listeners for connection in (one, two, other)], [True, False, False])
        listeners.give(SECOND)
        self.assertEqual([len(connection.written) for connection in (one, two)] + [len(other.got)], [2, 1, 1])

    def test_keep(self) -> None:
        """Only who is there still; nobody comes by it."""
        one, two, other, stranger = Connection(), Connection(), FakeConnection(), Connection()
        listeners = Listeners([one, two, other])
        listeners.keep({two, stranger})
        listeners.give(FIRST)
        self.assertEqual([one.written, two.written, other.got, stranger.written], [[], [FIRST.enveloped()], [], []])

    def test_nobody(self) -> None:
        """Nothing is told to nobody."""
        listeners = Listeners()
        listeners.give(FIRST)
        self.assertFalse(listeners)

    def test_changed_meanwhile(self) -> None:
        """Who is told something changes who listens: everyone who listened hears that, and who listens now the next."""
        one, two, other, late = Connection(), Connection(), FakeConnection(), Connection()
        listeners = Listeners([one, two, other])

        def change() -> None:
            listeners.keep({one})
            listeners.add(late)

        one.on_write = change
        listeners.give(FIRST)
        self.assertEqual([len(one.written), len(two.written), len(other.got), len(late.written)], [1, 1, 1, 0])
        one.on_write = lambda: None
        listeners.give(SECOND)
        self.assertEqual([len(one.written), len(two.written), len(other.got), len(late.written)], [2, 1, 1, 1])

    def test_overflows_meanwhile(self) -> None:
        """One that reads too slowly is cut in the midst of it, once; the others get everything, in order."""
        for of_socket in (True, False):
            before, slow, behind = Connection(of_socket), Connection(of_socket, queue_bytes=5), Connection(of_socket)
            listeners = Listeners([before, slow, behind])
            slow.outlet.pauseProducing()
            for each in (FIRST, SECOND, THIRD, FIRST, SECOND):
                listeners.give(each)
            self.assertEqual((slow.written, slow.overflows, slow.outlet.queued_bytes), ([], 1, 0))
            self.assertEqual((before.written, len(before.written)), (behind.written, 5))
            slow.outlet.resumeProducing()
            self.assertEqual(slow.written, [])
