"""What is done for each event and each message of a round of the lean reactor (docs/reactor.md). It is by itself so that it can be compiled."""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOBUFS, EWOULDBLOCK
from functools import partial
from select import EPOLLIN
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_LOST
from twisted.python import log

if TYPE_CHECKING:
    from gameroom.lean_tcp import LeanConnection

READABLE: Final = int(EPOLLIN)
SMALL_READ: Final = 4 * 1024
"""What a read gives at most, in bytes, unless the one before it was full."""
TINY_READ: Final = 448
"""What a read for a lane gives at most, until one was full: Python has room for so little at hand, and need not look for it."""
LARGE_READ: Final = 256 * 1024
"""What a read gives at most of what is passed on, once reads come back full: for bulk the number of system calls is what costs."""
FEW: Final = 24
"""In a round of no more events than that, each is done with, and what it brought about sent, before the next: nobody waits for what others say."""
MUCH: Final = 64 * 1024
"""More bytes than that of one connection do not wait for the end of the round."""

Read = Callable[[], Any]


class Sender:
    """Writes to a connection, for messages that come whole: as its `write` does, with less to do. All that it needs is here, side by side.

    What it is given it holds for a moment: until the round ends, or, in one of `FEW` events, until what is done about this one is done.
    """

    __slots__ = ("_data", "_fd", "_send", "_unsent", "_writes", "_written", "stopped", "target")

    def __init__(self, target: LeanConnection) -> None:
        reactor = target.reactor
        self.target: Any = target
        self._fd: int = target.fileno()
        self._send: Callable[[bytes], int] = target.socket.send
        self._writes: set[int] = reactor._writes
        self._written: dict[Any, None] = reactor.written
        self._unsent: list[Sender] = reactor.unsent
        self._data = b""
        """What it holds."""
        self.stopped = bool(target._aborting)
        """Whether nothing goes by this way any more: the connection is aborted or lost, or speaks TLS."""

    def __call__(self, data: bytes) -> None:
        """Sent in a moment, with what comes until then."""
        if not self._data:
            self._data = data
            self._unsent.append(self)
            return
        self._data += data
        if len(self._data) > MUCH:
            self.flush()

    @property
    def waits(self) -> bool:
        """Whether it holds something."""
        return bool(self._data) and not self.stopped

    def take_back(self) -> bytes:
        """What it holds, and holds no longer."""
        data, self._data = self._data, b""
        return data

    def flush(self) -> None:
        """Send what it holds."""
        if self._data:
            self.at_once(self.take_back())

    def at_once(self, data: bytes) -> None:
        """Sent now, where nothing is before it."""
        if self.stopped or self._data or (self._writes and self._fd in self._writes) or (self._written and self.target in self._written):
            # Something is before it, or the connection has its own way with it.
            self.target.write(data)
            return
        try:
            sent = self._send(data)
        except OSError as problem:
            sent, target = 0, self.target
            if not target.connected or target._writeDisconnected:
                return
            target._send_failed = problem.errno not in (EWOULDBLOCK, ENOBUFS)
        if sent != len(data):
            # What is looked at up to here is all in this object: with a thousand connections it is the memory that is waited for.
            target = self.target
            target.dataBuffer, target.offset = data, sent
            # First of all: what the producer writes while it is paused goes behind the rest.
            target.reactor.ask_epoll(target)
            target._maybePauseProducer()


class Shortcut:
    """What reads from a connection instead of it."""

    __slots__ = ("_receive", "connection")

    def __init__(self, connection: LeanConnection) -> None:
        self.connection: Any = connection
        self._receive: Callable[[int], bytes] = connection.socket.recv

    def read(self) -> Read | None:
        """Read once. Gives what is left to be done as `doRead` would do it, in a logging context; None where nothing is."""
        raise NotImplementedError


class Way(Shortcut):
    """Passes on what comes at one connection to another one. All that each message needs is here, side by side."""

    __slots__ = ("_most", "_send")

    def __init__(self, source: LeanConnection, sender: Sender) -> None:
        super().__init__(source)
        self._send = sender
        self._most = SMALL_READ

    def read(self) -> Read | None:
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
        self._send.at_once(data)
        return None


class Lane(Shortcut):
    """Gives what comes at a connection to `take`, and what that leaves to the protocol. All that each read needs is here, side by side."""

    __slots__ = ("_most", "_take", "lost")

    def __init__(self, connection: LeanConnection, take: Callable[[bytes], bytes]) -> None:
        super().__init__(connection)
        self.lost = False
        self._most = TINY_READ
        self._take = take

    def read(self) -> Read | None:
        """Read a little, once."""
        return self.give(self.receive())

    def receive(self) -> bytes | None:
        """Read a little, once, for `give`; None where there was nothing, or the connection is `lost`."""
        try:
            data = self._receive(self._most)
        except OSError as problem:
            self.lost = problem.errno != EWOULDBLOCK
            return None
        if len(data) == TINY_READ:
            # There may be more, of which epoll tells again. From now on it comes in one read.
            self._most = SMALL_READ
        return data

    def give(self, data: bytes | None) -> Read | None:
        """Have what was received taken. Gives what is left to be done, as `read`."""
        if data is None:
            return _lost if self.lost else None
        # What is not little may be followed by more: the connection is to know of it, and all of it is the protocol's.
        if 0 < len(data) < SMALL_READ and not (data := self._take(data)):
            return None
        return partial(self.connection.came, data, SMALL_READ)


def _lost() -> ConnectionLost:
    return CONNECTION_LOST


def read_each(
    events: list[tuple[int, int]],
    shortcuts: dict[int, Shortcut],
    selectables: dict[int, Any],
    unsent: list[Sender],
    handle: Callable[[Any, int, int, Read | None], None],
) -> None:
    """Let what has shortcuts be read by them, in order; what is left of these events and all others goes to `handle`.

    That is called with what the event is of, its descriptor, the event, and what is left where something was read.
    """
    # Whose they are: a descriptor that is closed while an earlier event is handled may be another's before it is its turn.
    # That something may be read does the other no harm; that its peer is gone does.
    owners: dict[int, Any] = {}
    for fd, event in events:
        if event != READABLE:
            owners[fd] = selectables.get(fd)
    few = len(events) <= FEW
    if not few:
        events = _read_together(events, shortcuts, selectables, handle)
    for fd, event in events:
        selectable = selectables.get(fd)
        if selectable is None or (event != READABLE and selectable is not owners[fd]):
            # Gone, since one before it was handled.
            continue
        left: Read | None = None
        taken = False
        if event == READABLE:
            shortcut = shortcuts.get(fd)
            taken = shortcut is not None and (left := shortcut.read()) is None
        if not taken:
            handle(selectable, fd, event, left)
        if few and unsent:
            send_each(unsent)


def _read_together(
    events: list[tuple[int, int]], shortcuts: dict[int, Shortcut], selectables: dict[int, Any], handle: Callable[[Any, int, int, Read | None], None]
) -> list[tuple[int, int]]:
    """Read from all lanes, and then have that taken; gives the events of all others.

    The kernel's code and ours are more than a processor has at hand: turn and turn about, each would be fetched again for every message.
    """
    others: list[tuple[int, int]] = []
    came: list[tuple[int, Lane, bytes | None]] = []
    for fd, event in events:
        shortcut = shortcuts.get(fd) if event == READABLE else None
        if isinstance(shortcut, Lane):
            came.append((fd, shortcut, shortcut.receive()))
        else:
            others.append((fd, event))
    for fd, lane, data in came:
        connection: LeanConnection = lane.connection
        if selectables.get(fd) is not connection:
            # Closed, or paused, since it was read; the kernel tells but once that it is lost.
            connection.early = data or b""
            if lane.lost:
                connection._send_failed = True
            continue
        left: Read | None = None
        if shortcuts.get(fd) is lane:
            try:
                left = lane.give(data)
            except Exception:
                # What was read of all others is still to be heard.
                log.err()
                left = _lost
        elif data is not None:
            # The lane is another's by now, or over: the protocol knows.
            left = partial(lane.connection.came, data, SMALL_READ)
        if left is not None:
            handle(connection, fd, READABLE, left)
    return others


def send_each(unsent: list[Sender]) -> None:
    """Let them send what they hold. One that fails holds up nobody else."""
    senders = unsent[:]
    unsent.clear()
    for sender in senders:
        try:
            sender.flush()
        except Exception:
            log.err()
