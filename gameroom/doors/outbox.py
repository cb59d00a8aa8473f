"""What one connection still has to be told, for a reader of any speed.

A peer that never reads must cost a bounded amount of memory, and one that reads slowly must get everything in order.
The doors that carry pushes (JSON lines, WebSocket) each have one of these between themselves and their transport.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import classImplements

from gameroom.listeners import Outlet
from gameroom.reactor_round import Sender
from gameroom.wire.room_messages import Told

Source = Callable[[], bytes | None]

_BATCH: Final = 64 * 1024
"""Bytes of small messages that are joined into one write: what Twisted's transports take before they pause us."""


class Outbox(Outlet):
    """The outgoing side of one connection, to be registered as its transport's streaming producer.

    While the transport takes bytes they go straight to it; while it does not they wait here, in order.
    Past `queue_bytes` waiting bytes everything is dropped and `overflow()` is called, once: the door ends the connection.
    """

    __slots__ = ("_draining", "_limit", "_open", "_overflow", "_waiting", "patient_bytes", "paused", "queued_bytes", "ready", "sealed", "write")

    def __init__(self, write: Callable[[bytes], None], queue_bytes: int, overflow: Callable[[], None]) -> None:
        self.write = write
        """The transport's own, or its `Sender`: for who has looked whether it is `ready`."""
        self._limit = queue_bytes
        self._overflow = overflow
        self._waiting: deque[bytes | Source] | None = None
        """None while nothing does: a deque has room for 64 from the beginning, and most connections never need it."""
        self.paused = False
        """True while the reader takes nothing more."""
        self._draining = False
        self._open = True
        self.ready = True
        """Whether what is sent goes to the transport at once."""
        self.sealed = False
        """Whether nothing is delivered any more: the door says the last words, or somebody else has the word. What is sent still goes."""
        self.queued_bytes = 0
        """Bytes that were sent and wait for the reader; history and `patient` messages do not count."""
        self.patient_bytes = 0
        """Bytes that were sent patiently and wait for the reader."""

    def send(self, data: bytes) -> None:
        """Give the reader these bytes, now or after all that waits already. Never raises."""
        if self.ready:
            write = self.write
            if isinstance(write, Sender):
                # One compiled class calls another here: this is once for each master and player.
                write.__call__(data)
            else:
                write(data)
        elif self._open:
            self._wait(data)
            self.queued_bytes += len(data)
            if self.queued_bytes > self._limit:
                self.stopProducing()
                self._overflow()

    def send_patiently(self, data: bytes) -> None:
        """As `send`, for what the reader asked for: it waits for any length of time and does not count to `queue_bytes`.

        The door bounds it by not reading further requests meanwhile.
        """
        if self.ready:
            self.write(data)
        elif self._open:
            self.patient_bytes += len(data)
            self.catch_up(_Patient(self, data).take)

    def catch_up(self, source: Source) -> None:
        """Send history at the reader's pace.

        `source()` is called whenever the reader has room for more, until it gives None; it must not raise.
        What is sent meanwhile waits behind it.
        """
        if self._open:
            self._wait(source)
            self._drain()

    def when_sent(self, callback: Callable[[], None]) -> None:
        """Call `callback` once all that waits now has gone to the transport: at once where nothing waits.

        It is not called when the connection is lost first.
        """
        self.catch_up(callback)

    def pauseProducing(self) -> None:
        """The transport has more than it can send for now."""
        self.paused = True
        self.ready = False

    def resumeProducing(self) -> None:
        """The transport has sent what it had."""
        self.paused = False
        self._drain()

    def stopProducing(self) -> None:
        """The connection is gone: forget what waits, and ignore what still comes."""
        self._open = False
        self.ready = False
        self._waiting = None
        self.queued_bytes = self.patient_bytes = 0

    def _wait(self, what: bytes | Source) -> None:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(what)

    def _drain(self) -> None:
        """Write what waits until the transport pauses us. Whatever we call may send or pause from inside."""
        if self._draining:
            return
        # Nothing may overtake what waits, not even what a source or the transport sends while it is called from here.
        self.ready = False
        self._draining = True
        try:
            while self._waiting and not self.paused:
                data = self._next(self._waiting)
                if data:
                    self.write(data)
        finally:
            self._draining = False
        if not self._waiting:
            self._waiting = None
            self.ready = self._open and not self.paused

    def _next(self, waiting: deque[bytes | Source]) -> bytes | None:
        """Take the next bytes to write: one piece of history, or as many small messages as fit one write."""
        head = waiting[0]
        if not isinstance(head, bytes):
            data = head()
            # The source may have ended the connection, and with it the queue.
            if data is None and self._waiting:
                waiting.popleft()
            return data
        batch: list[bytes] = []
        size = 0
        while waiting and size < _BATCH:
            head = waiting[0]
            if not isinstance(head, bytes):
                break
            batch.append(head)
            size += len(head)
            waiting.popleft()
        self.queued_bytes -= size
        return batch[0] if len(batch) == 1 else b"".join(batch)


# A decorator would keep compiled code from finding the class's methods by itself.
classImplements(Outbox, IPushProducer)


class EnvelopeOutbox(Outbox):
    """An outbox at the game port: what is delivered goes in envelopes."""

    __slots__ = ()

    def deliver(self, told: Told) -> None:
        if not self.sealed:
            self.send(told.enveloped())


class FrameOutbox(Outbox):
    """An outbox of a web socket: what is delivered goes in frames.

    It also stops reading from a peer that does not read what it is sent, or that is to wait (`hold`).
    """

    __slots__ = ("_transport", "held")

    def __init__(self, transport: Any, queue_bytes: int, overflow: Callable[[], None]) -> None:
        super().__init__(transport.write, queue_bytes, overflow)
        self._transport = transport
        self.held = False
        """True while nothing is to be read, whether the peer reads or not."""

    def deliver(self, told: Told) -> None:
        if not self.sealed:
            self.send(told.framed())

    @property
    def reading(self) -> bool:
        """Whether the peer may be read from."""
        return not self.paused and not self.held

    def hold(self) -> None:
        """Read nothing from the peer until `let_go`."""
        self.held = True
        self._transport.pauseProducing()

    def let_go(self) -> None:
        """The peer need not wait any more."""
        self.held = False
        if not self.paused:
            self._transport.resumeProducing()

    def pauseProducing(self) -> None:
        super().pauseProducing()
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self.reading:
            self._transport.resumeProducing()


class _Patient:
    """A message that waits for any length of time."""

    __slots__ = ("_data", "_outbox")

    def __init__(self, outbox: Outbox, data: bytes) -> None:
        self._outbox = outbox
        self._data: bytes | None = data

    def take(self) -> bytes | None:
        """The message, and after it None."""
        data, self._data = self._data, None
        if data is not None:
            self._outbox.patient_bytes -= len(data)
        return data
