"""A lean epoll reactor: Twisted's own, with quicker TCP connections.

    twistd --reactor=gameroom …                  # by its plugin
    from gameroom.reactor import install         # or in a program, before anything imports twisted.internet.reactor
    install()

Theory. A small message that comes and is answered costs the kernel 5.6 µs, and stock Twisted 8 µs above that. Three things
take most of the 8, and each has a short cut for the usual case; whatever is unusual takes Twisted's own path, unchanged:

1. Stock queues every `write()` and sends it when epoll tells that the socket is writable: a second event, two `epoll_ctl`, a
   join and a memoryview. Nearly always the kernel would have taken the bytes at once, so we ask it at once and queue what it
   leaves. The queue is stock's (`dataBuffer` from `offset` on), so its `doWrite` sends the tail, resumes the producer, closes
   or half-closes after it, exactly as if it had begun to send that buffer itself.
2. Stock runs each event inside two nested calls with a logging context. An event that is exactly EPOLLIN on a TCP connection
   can only mean `doRead`; the context is put on and taken off directly.
3. Stock reads into 64 KiB, which are allocated and given back each time. We begin with 8 KiB, and double while reads come back full.

A failed send is not told from inside `write()`, whose caller may be anywhere. The failed bytes stay queued, so the socket, which a
failed connection makes readable and writable, is looked at in the next round and there is lost with ConnectionLost, as in stock.
But the kernel tells an error once: after `send` has had it, `recv` only sees an end of file. `_send_failed` remembers it.

What is different from stock, and why, is listed in docs/reactor.md.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from errno import EINTR, ENOBUFS, EWOULDBLOCK
from select import EPOLLIN
from typing import Any

from twisted.internet import tcp
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone, ConnectionFdescWentAway, ConnectionLost
from twisted.internet.interfaces import Binding, IConnector, IListeningPort, IProtocolFactory
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST, installReactor
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.python import log
from twisted.python.context import get as get_context
from twisted.python.context import theContextTracker

__all__ = ["LeanClient", "LeanPort", "LeanReactor", "LeanServer", "install"]

FIRST_READ = 8 * 1024
"""Bytes that a connection reads at first, and again after a read that would have fitted."""

NO_DESCRIPTOR = ConnectionFdescWentAway("File descriptor lost")
INTERNET = (socket.AF_INET, socket.AF_INET6)


class _LeanConnection(tcp.Connection):
    """What the server's and the client's end have in common."""

    _read_size = FIRST_READ
    _send_failed = False

    def write(self, data: bytes) -> None:
        """Send what the kernel takes now and queue the tail; behind other bytes, or in any unusual state, queue as stock does."""
        if (
            self.dataBuffer
            or self._tempDataBuffer
            or not self.connected
            or self.TLS
            or self.disconnecting
            or self._writeDisconnecting
            or self._aborting
            or (self.producer is not None and (not self.streamingProducer or len(data) > self.bufferSize))
            or type(data) is not bytes
            or not data
        ):
            super().write(data)
            return
        try:
            sent = self.socket.send(data if len(data) <= self.SEND_LIMIT else memoryview(data)[: self.SEND_LIMIT])
        except OSError as problem:
            sent = 0
            self._send_failed = problem.errno not in (EWOULDBLOCK, ENOBUFS)
        if sent < len(data):
            # No push producer is to be paused: what is more than its buffer did not come this way.
            self.dataBuffer, self.offset = data, sent
            self.startWriting()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Write these together; in one `send` where `write` may send."""
        if self.TLS or self.dataBuffer or self._tempDataBuffer:
            super().writeSequence(iovec)
            return
        pieces = list(iovec)
        for piece in pieces:
            if not isinstance(piece, bytes):
                raise TypeError("Data must be bytes")
        self.write(b"".join(pieces))

    def writeSomeData(self, data: bytes) -> int | ConnectionLost:
        """Stock's way for the tail; after a failed send there is nothing more to try."""
        return CONNECTION_LOST if self._send_failed else super().writeSomeData(data)

    def doRead(self) -> ConnectionLost | ConnectionDone | None:  # type: ignore[override]  # two of stock's own bases differ
        """Read once, into a buffer that is as large as the last reads were."""
        size = self._read_size
        size = min(size, self.bufferSize)
        try:
            data = self.socket.recv(size)
        except OSError as problem:
            return None if problem.errno == EWOULDBLOCK else CONNECTION_LOST
        length = len(data)
        if length == size:
            self._read_size = min(size * 2, self.bufferSize)
        elif not length:
            return CONNECTION_LOST if self._send_failed else CONNECTION_DONE
        elif length <= FIRST_READ < size:
            self._read_size = FIRST_READ
        self.protocol.dataReceived(data)
        return None


class LeanServer(_LeanConnection, tcp.Server):
    """The server's end of a TCP connection."""


class LeanClient(_LeanConnection, tcp.Client):
    """The client's end of a TCP connection."""


class LeanPort(tcp.Port):
    """A listening TCP port that makes lean connections."""

    transport = LeanServer

    @property
    def _logger(self) -> Logger:  # type: ignore[override]
        """Used-up descriptors are logged by the name that they have in stock, which filters know."""
        return tcp.Port._logger


class _LeanConnector(tcp.Connector):
    def _makeTransport(self) -> LeanClient:
        return LeanClient(self.host, self.port, self.bindAddress, self, self.reactor)


class LeanReactor(EPollReactor):
    """EPollReactor with lean TCP connections, made by any of the ways that a reactor makes them; all else is stock."""

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events and handle them: those that are exactly EPOLLIN on a TCP connection here, the others as stock does."""
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        except OSError as problem:
            if problem.errno == EINTR:
                return
            raise
        selectables = self._selectables
        contexts, context = theContextTracker.currentContext().contexts, get_context(log.ILogContext)
        for fd, event in events:
            selectable = selectables.get(fd)
            if event == EPOLLIN and isinstance(selectable, tcp.Connection):
                self._read(selectable, contexts, context)
            elif selectable is not None:
                log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)

    doIteration = doPoll

    def _read(self, connection: tcp.Connection, contexts: list[Any], context: dict[str, Any]) -> None:
        """`callWithLogger(…, _doReadOrWrite, …)` for an event that is EPOLLIN: same context, same log, same end."""
        was_read = False
        contexts.append({log.ILogContext: {**context, "system": connection.logstr}})
        try:
            why: BaseException | None = NO_DESCRIPTOR
            if connection.fileno() != -1:
                why = connection.doRead()
                was_read = True
        except BaseException as problem:
            why = problem
            log.err()
        finally:
            contexts.pop()
        if why:
            log.callWithLogger(connection, self._disconnectSelectable, connection, why, was_read)

    def listenTCP(self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = "") -> IListeningPort:
        listening = LeanPort(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30.0,
        bindAddress: Binding | tuple[str, int] | None = None,
    ) -> IConnector:
        connector = _LeanConnector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory) -> IListeningPort:
        if addressFamily not in INTERNET:
            return super().adoptStreamPort(fileDescriptor, addressFamily, factory)
        listening = LeanPort._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        listening.startListening()
        return listening

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory) -> tcp.Server | None:
        if addressFamily not in INTERNET:
            return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)
        return LeanServer._fromConnectedSocket(fileDescriptor, addressFamily, factory, self)


def install() -> None:
    """Make a lean reactor the program's reactor; raises ReactorAlreadyInstalledError if there is one."""
    installReactor(LeanReactor())
