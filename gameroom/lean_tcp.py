"""TCP connections of the lean reactor (docs/reactor.md): Twisted's own, which queue, read and give with less to do."""

from __future__ import annotations

from collections.abc import Iterable
from errno import ENOBUFS, EWOULDBLOCK
from functools import partial
from select import EPOLLIN
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.reactor_round import SMALL_READ, Sender, Shortcut

if TYPE_CHECKING:
    from gameroom.reactor import LeanReactor


class LeanConnection(tcp.Connection):
    """What the server's and the client's end have in common."""

    # What every read and write looks at, side by side in memory: with a thousand connections it is the memory that is waited for.
    __slots__ = (
        "SEND_LIMIT",
        "TLS",
        "_aborting",
        "_reads",
        "_send_failed",
        "_tempDataBuffer",
        "_tempDataLen",
        "_writeDisconnected",
        "_writeDisconnecting",
        "bufferSize",
        "connected",
        "dataBuffer",
        "disconnecting",
        "early",
        "lane",
        "logstr",
        "producer",
        "producerPaused",
        "protocol",
        "reactor",
        "sender",
        "socket",
        "streamingProducer",
    )

    reactor: LeanReactor
    producer: Any

    def __init__(self, *args: Any, **keywords: Any) -> None:
        # What stock has as attributes of its classes, where Python looks last.
        self.bufferSize, self.SEND_LIMIT = tcp.Connection.bufferSize, tcp.Connection.SEND_LIMIT
        self._reads = SMALL_READ
        self.lane: Shortcut | None = None
        """Who takes what is read, while that is little."""
        self.early = b""
        """What was read in a round in which the connection was paused after that: it waits until it is resumed."""
        self.sender: Sender | None = None
        """Who may hold something that is sent in a moment."""
        self.connected = self.disconnecting = 0
        self.TLS = self._aborting = self._send_failed = self._writeDisconnected = self._writeDisconnecting = False
        self.producerPaused = self.streamingProducer = False
        self.dataBuffer, self.logstr, self.producer = b"", tcp.Connection.logstr, None
        super().__init__(*args, **keywords)

    def write(self, data: bytes) -> None:
        """As in stock, in one call: queue it, pause the producer of too much, and be remembered as one who has written."""
        if self.sender is not None:
            self._queue_earlier()
        if data.__class__ is not bytes or not data or self.TLS or not self.connected or self._writeDisconnected:
            super().write(data)
            return
        self._tempDataBuffer.append(data)
        self._tempDataLen = queued = self._tempDataLen + len(data)
        if queued + len(self.dataBuffer) > self.bufferSize:
            self._maybePauseProducer()
        self.reactor.written[self] = None

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self._queue_earlier()
        super().writeSequence(iovec)

    def _queue_earlier(self) -> None:
        """What is to be sent before what is written now is queued before it."""
        if self.sender is not None and (earlier := self.sender.take_back()):
            self.write(earlier)

    def send_written(self) -> bool:
        """Send all that is queued. False where there is more to do, by `doWrite`. Calls nobody."""
        if (
            self.dataBuffer
            or self.disconnecting
            or self._writeDisconnecting
            or self._aborting
            or (self.producer is not None and (self.producerPaused or not self.streamingProducer))
            or self._tempDataLen > self.SEND_LIMIT
        ):
            return False
        pieces = self._tempDataBuffer
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            sent = self.socket.send(data)
        except OSError as problem:
            sent = -1
            self._send_failed = problem.errno not in (EWOULDBLOCK, ENOBUFS)
        pieces.clear()
        self._tempDataLen = 0
        if sent == len(data):
            return True
        self.dataBuffer, self.offset = data, max(sent, 0)
        return False

    def writeSomeData(self, data: bytes) -> int | ConnectionLost:
        """Stock's way for what was left; after a failed send there is nothing more to try."""
        return CONNECTION_LOST if self._send_failed else super().writeSomeData(data)

    def doRead(self) -> ConnectionLost | ConnectionDone | None:  # type: ignore[override]  # two of stock's own bases differ
        """Read once, and give it to the protocol: as much as stock would while there is much to read."""
        most = min(self._reads, self.bufferSize)
        try:
            data = self.socket.recv(most)
        except OSError as problem:
            return None if problem.errno == EWOULDBLOCK else CONNECTION_LOST
        return self.came(data, most)

    def came(self, data: bytes, most: int) -> ConnectionLost | ConnectionDone | None:
        """This was read, of so many bytes at most: it is the protocol's, or the end."""
        if not data:
            return CONNECTION_LOST if self._send_failed else CONNECTION_DONE
        if len(data) == most:
            self._reads = max(self.bufferSize, SMALL_READ)
            if self.lane is not None:
                # Large reads are the protocol's.
                self.reactor.shortcuts.pop(self.fileno(), None)
        elif most > SMALL_READ > len(data):
            self._reads = SMALL_READ
            if self.lane is not None:
                self.reactor.shortcuts[self.fileno()] = self.lane
        self.protocol.dataReceived(data)
        return None

    def startReading(self) -> None:
        super().startReading()
        if self.early:
            # Before the next round, and not while somebody else is heard.
            self.reactor.callLater(0, self._hear_early)

    def _hear_early(self) -> None:
        fd = self.fileno()
        if self.early and fd in self.reactor._reads:
            data, self.early = self.early, b""
            self.reactor._handle(self, fd, EPOLLIN, partial(self.came, data, SMALL_READ))

    def doWrite(self) -> BaseException | None:  # type: ignore[override]  # two of stock's own bases differ
        """As in stock, which ends a connection that is closed once its queue is empty: all that was written is in it by then."""
        self._queue_earlier()
        return super().doWrite()

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """As in stock; what was written before goes before it, in plain."""
        self._queue_earlier()
        if self.sender is not None:
            self.sender.stopped = True
        super().startTLS(ctx, normal)

    def abortConnection(self) -> None:
        super().abortConnection()
        if self.sender is not None:
            self.sender.stopped = True

    @property
    def reads_little(self) -> bool:
        """Whether the next read is a small one."""
        return self._reads == SMALL_READ

    def connectionLost(self, reason: Failure) -> None:
        self.reactor.shortcuts.pop(self.fileno(), None)
        self.lane = None
        if self.sender is not None:
            self.sender.take_back()
            self.sender.stopped = True
            self.sender = None
        super().connectionLost(reason)


class LeanServer(LeanConnection, tcp.Server):
    """The server's end of a TCP connection."""


class LeanClient(LeanConnection, tcp.Client):
    """The client's end of a TCP connection."""


class LeanPort(tcp.Port):
    """A listening TCP port that makes lean connections."""

    transport = LeanServer

    @property
    def _logger(self) -> Logger:  # type: ignore[override]
        """Used-up descriptors are logged by the name that they have in stock, which filters know."""
        return tcp.Port._logger


class LeanConnector(tcp.Connector):
    """Makes the client's end, when it is to connect."""

    def _makeTransport(self) -> LeanClient:
        return LeanClient(self.host, self.port, self.bindAddress, self, self.reactor)
