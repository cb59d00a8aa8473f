"""Short ways through the lean reactor (docs/reactor.md), for those who have many small messages to take or to give.

Each does nothing, or the ordinary thing, where a transport is not lean or speaks TLS: whoever asks for one need not know.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOBUFS, EWOULDBLOCK
from functools import partial
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_LOST

from gameroom.reactor import SMALL_READ, LeanConnection

MUCH = 64 * 1024
"""More bytes than that of one connection do not wait for the end of the round."""
LARGE_READ = 256 * 1024
"""What a read gives at most of what is passed on, once reads come back full: for bulk the number of system calls is what costs."""


class Sender:
    """Writes to a connection, for messages that come whole: as its `write` does, with less to do. All that it needs is here, side by side."""

    __slots__ = ("_data", "_fd", "_send", "_unsent", "_writes", "_written", "target")

    def __init__(self, target: LeanConnection) -> None:
        reactor = target.reactor
        self.target, self._fd, self._send = target, target.fileno(), target.socket.send
        self._writes, self._written, self._unsent = reactor._writes, reactor.written, reactor.unsent
        self._data = b""
        """What is sent when the round ends."""

    def __call__(self, data: bytes) -> None:
        """Sent when the round ends."""
        if not self._data:
            self._data = data
            self._unsent.append(self)
            return
        self._data += data
        if len(self._data) > MUCH:
            self.flush()

    def take_back(self) -> bytes:
        """What waits for the end of the round, which waits no longer."""
        data, self._data = self._data, b""
        return data

    def flush(self) -> None:
        """Send what waits for the end of the round."""
        if self._data:
            self.at_once(self.take_back())

    def at_once(self, data: bytes) -> None:
        """Sent now, where nothing is before it."""
        target, written = self.target, self._written
        if self._data or self._fd in self._writes or (written and target in written) or target._aborting:
            # Something is before it, or the connection is to be closed.
            target.write(data)
            return
        try:
            sent = self._send(data)
        except OSError as problem:
            sent = 0
            if not target.connected or target._writeDisconnected:
                return
            target._send_failed = problem.errno not in (EWOULDBLOCK, ENOBUFS)
        if sent != len(data):
            target.dataBuffer, target.offset = data, sent
            # First of all: what the producer writes while it is paused goes behind the rest.
            target.reactor.ask_epoll(target)
            target._maybePauseProducer()  # type: ignore[no-untyped-call]


class Way:
    """Passes on what comes at one connection to another one. All that each message needs is here, side by side."""

    __slots__ = ("_most", "_receive", "_send", "connection")

    def __init__(self, source: LeanConnection, target: LeanConnection) -> None:
        self.connection, self._receive, self._send = source, source.socket.recv, sender_of(target).at_once
        self._most = SMALL_READ

    def read(self) -> Callable[[], Any] | None:
        """Read once, and send it at once, without a protocol, a logging context and the end of the round."""
        most = self._most
        try:
            data = self._receive(most)
        except OSError as problem:
            return None if problem.errno == EWOULDBLOCK else _lost
        size = len(data)
        if size == most:
            self._most = min(most * 8, LARGE_READ)
        elif not size:
            return partial(self.connection.came, data, most)
        elif most > SMALL_READ > size:
            self._most = SMALL_READ
        self._send(data)
        return None


class Lane:
    """Gives what comes at a connection to `take`, and what that leaves to the protocol. All that each read needs is here, side by side."""

    __slots__ = ("_receive", "_take", "connection")

    def __init__(self, connection: LeanConnection, take: Callable[[bytes], bytes]) -> None:
        self.connection, self._receive, self._take = connection, connection.socket.recv, take

    def read(self) -> Callable[[], Any] | None:
        """Read a little, once."""
        try:
            data = self._receive(SMALL_READ)
        except OSError as problem:
            return None if problem.errno == EWOULDBLOCK else _lost
        # What is not little may be followed by more: the connection is to know of it, and all of it is the protocol's.
        if 0 < len(data) < SMALL_READ and not (data := self._take(data)):
            return None
        return partial(self.connection.came, data, SMALL_READ)


def _lost() -> ConnectionLost:
    return CONNECTION_LOST


def pass_on(source: Any, target: Any) -> None:
    """What comes at one transport is written to the other by the shortest way; with None as `target` that is over.

    The source's protocol is to do the same, `protocol.dataReceived = target.write`: it is called whenever the short way cannot be gone.
    """
    if not isinstance(source, LeanConnection) or not source.connected:
        return
    shortcuts, fd = source.reactor.shortcuts, source.fileno()
    if _is_plain(target) and not source.TLS:
        shortcuts[fd] = Way(source, target)
    else:
        shortcuts.pop(fd, None)


def let_take(transport: Any, take: Callable[[bytes], bytes] | None) -> None:
    """What comes in small reads is given to `take`, which gives back what it leaves to the protocol; with None that is over.

    `take` never raises, and is called without a logging context.
    The protocol's `dataReceived` is to ask `take` itself: it is called whenever the short way cannot be gone.
    """
    if not _is_plain(transport):
        return
    shortcuts, fd = transport.reactor.shortcuts, transport.fileno()
    shortcuts.pop(fd, None)
    transport.lane = None if take is None else Lane(transport, take)
    if transport.lane is not None and transport.reads_little:
        shortcuts[fd] = transport.lane


def sender(transport: Any) -> Callable[[bytes], None]:
    """What writes to the transport in as few steps as can be, for those whose messages come whole, and not in pieces."""
    write: Callable[[bytes], None] = sender_of(transport) if _is_plain(transport) else transport.write
    return write


def sender_of(connection: LeanConnection) -> Sender:
    """The connection's own. It has one only: two would not know what the other has."""
    found = connection.sender
    if not isinstance(found, Sender):
        found = connection.sender = Sender(connection)
    return found


def _is_plain(transport: Any) -> bool:
    return isinstance(transport, LeanConnection) and bool(transport.connected) and not transport.TLS
