"""A lean epoll reactor: Twisted's own, with quicker TCP connections.

    twistd --reactor=gameroom …                  # by its plugin
    from gameroom.reactor import install         # or in a program, before anything imports twisted.internet.reactor
    install()

Theory. A small message that comes and is answered costs the kernel 5.6 µs, and stock Twisted 8 µs above that. Three things
take most of the 8, and each has a short cut for the usual case; whatever is unusual takes Twisted's own path, unchanged:

1. Stock asks epoll when a connection that was written to can be sent from: two `epoll_ctl`, a second event, and a `doWrite`. Nearly
   always the answer is "now". Here what is written goes into stock's own queue, the reactor remembers who has written, and at the
   end of the round each of them sends all that it has, once. Where that was not all there is to do (the kernel left something, a
   producer is to be asked, the connection is to be closed), stock goes on from the same state: epoll is asked and `doWrite` called.
2. Stock runs each event inside two nested calls with a logging context. An event that is exactly EPOLLIN on a TCP connection
   can only mean `doRead`; the context is put on and taken off directly.
3. Stock allocates 64 KiB for each read. Here a read asks for 4 KiB, and for more only while reads come back full.

A round is: what timed calls wrote is sent; wait for events; handle them; what that wrote is sent. Of those who have written nobody is
called while we send, so they cannot change meanwhile; a producer of a `Sender` may be paused, and what that sends goes in the next round.
In a round of few events what a `Sender` holds goes after each; in one of many, lanes read before anything that was read is heard.

A failed send is told to nobody at once. Its bytes stay queued and epoll is asked, which says readable and writable of a failed connection:
it is read from, so what had come before is not lost, and then ends with ConnectionLost, as in stock.
But the kernel tells an error once: after `send` has had it, `recv` only sees an end of file. `_send_failed` remembers it.

What is different from stock, and why, is listed in docs/reactor.md.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import EINTR
from select import EPOLLIN
from typing import Any

from twisted.internet import tcp
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionFdescWentAway
from twisted.internet.interfaces import Binding, IConnector, IListeningPort, IProtocolFactory, IReadDescriptor, IWriteDescriptor
from twisted.internet.main import installReactor
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.python import log
from twisted.python.context import get as get_context
from twisted.python.context import theContextTracker

from gameroom.lean_tcp import LeanClient, LeanConnection, LeanConnector, LeanPort, LeanServer
from gameroom.reactor_round import Read, Sender, Shortcut, read_each, send_each

__all__ = ["LeanClient", "LeanPort", "LeanReactor", "LeanServer", "install"]

NO_DESCRIPTOR = ConnectionFdescWentAway("File descriptor lost")
LONGEST_WAIT = 3600.0
"""Seconds until the reactor looks at its timed calls again, however late the next one is due: epoll cannot wait for just any time."""
INTERNET = (socket.AF_INET, socket.AF_INET6)


class LeanReactor(EPollReactor):
    """EPollReactor with lean TCP connections, made by any of the ways that a reactor makes them; all else is stock."""

    _log = Logger()

    def __init__(self) -> None:
        self.written: dict[Any, None] = {}
        """The connections that have written, or want to, and were not asked to send yet; in order."""
        self.unsent: list[Sender] = []
        """Who holds something that is to be sent before that; some of them may have sent it since."""
        self._context: list[Any] = []
        """The round's logging context, once one of its events has asked for it."""
        self.shortcuts: dict[int, Shortcut] = {}
        """Who reads instead of a connection, by its descriptor."""
        super().__init__()

    def mainLoop(self) -> None:
        """As in stock: what is due and what threads ask for, then a round of events, over and over. Most rounds have events alone."""
        log, seconds = self._log, self.seconds
        while self._started:
            with log.failureHandler("Unexpected error in main loop"):
                while self._started:
                    calls = self._pendingTimedCalls
                    wait = calls[0].time - seconds() if calls else 0.0
                    if wait <= 0 or self.threadCallQueue or self._newTimedCalls or self._justStopped or not self.running:
                        self.runUntilCurrent()
                        self.doIteration(self.running and self.timeout())
                    else:
                        self.doIteration(min(wait, LONGEST_WAIT))
        log.info("Main loop terminated.")

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events and handle them: those that are exactly EPOLLIN on a TCP connection here, the others as stock does."""
        if self.written or self.unsent:
            self._send_written()
            if self.unsent:
                # A producer that was paused has given something to another connection.
                timeout = 0
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        except OSError as problem:
            if problem.errno == EINTR:
                return
            raise
        self._context.clear()
        read_each(events, self.shortcuts, self._selectables, self.unsent, self._handle)
        if self.written or self.unsent:
            self._send_written()

    doIteration = doPoll

    def _handle(self, selectable: Any, fd: int, event: int, read: Read | None) -> None:
        """An event that no shortcut was for, or of which there is something left."""
        if read is None and event == EPOLLIN and isinstance(selectable, tcp.Connection):
            read = selectable.doRead
        if read is None:
            log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
        else:
            context = self._context
            if not context:
                context += theContextTracker.currentContext().contexts, get_context(log.ILogContext)
            self._read(selectable, context[0], context[1], read)

    def _send_written(self) -> None:
        """Let everybody send who has written; epoll is asked about those who have more to do than that."""
        send_each(self.unsent)
        written = tuple(self.written)
        self.written.clear()
        for connection in written:
            try:
                done = connection.send_written()
            except Exception:
                # doWrite will meet it as well, and there it is logged and ends the connection.
                done = False
            if not done:
                self.ask_epoll(connection)

    def ask_epoll(self, connection: LeanConnection) -> None:
        """Have `doWrite` called, as in stock: the connection could not send all, or has more to do than that."""
        log.callWithLogger(connection, super().addWriter, connection)

    def addWriter(self, writer: IWriteDescriptor) -> None:
        """Epoll is asked about a lean connection only when it could not send; about one that is still connecting, at once."""
        if isinstance(writer, LeanConnection) and writer.connected:
            self.written[writer] = None
        else:
            super().addWriter(writer)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        self.written.pop(writer, None)
        super().removeWriter(writer)

    def getWriters(self) -> list[IWriteDescriptor]:
        return [*dict.fromkeys([*super().getWriters(), *self._waiting(), *self.written])]

    def _waiting(self) -> list[Any]:
        return [sender.target for sender in self.unsent if sender.waits]

    def removeAll(self) -> list[IReadDescriptor | IWriteDescriptor]:
        written = [*self._waiting(), *self.written]
        self.unsent.clear()
        self.written.clear()
        return [*dict.fromkeys([*written, *super().removeAll()])]

    def _read(self, connection: tcp.Connection, contexts: list[Any], context: dict[str, Any], read: Callable[[], Any]) -> None:
        """`callWithLogger(…, _doReadOrWrite, …)` for an event that is EPOLLIN: same context, same log, same end."""
        was_read = False
        contexts.append({log.ILogContext: {**context, "system": connection.logstr}})
        try:
            why: BaseException | None = NO_DESCRIPTOR
            if connection.fileno() != -1:
                why = read()
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
        connector = LeanConnector(host, port, factory, timeout, bindAddress, self)
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
