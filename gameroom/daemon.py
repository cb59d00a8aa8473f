"""The running daemon: what is started in which order, what is open, and how it goes down.

First every port is opened, and what knocks waits in the kernel; then the database, and the rooms that a restart left;
then the doors answer. So a port in use is seen before anything else is touched, and nobody meets a half-started daemon.
Going down is the same backwards. See docs/operations.md.
"""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import attrs
from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail, gatherResults, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTime, IStreamServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.deferring import deferring
from gameroom.metrics import Metrics
from gameroom.store import DatabaseUnavailable

READY, STOPPING = "READY=1", "STOPPING=1"
"""What a daemon announces, in systemd's words."""

BEAT = 0.5
"""Seconds between looks at how late the reactor is."""


class StartFailed(Exception):
    """The daemon cannot start, in one line for the operator."""


class NotReady(Exception):
    """This node takes no players now, and why."""


@attrs.define(eq=False, kw_only=True)
class Door:
    """One door: where it listens, and the factory of what it speaks."""

    name: str
    endpoints: Mapping[str, IStreamServerEndpoint]
    """By endpoint string; none where the door is off."""
    factory: IProtocolFactory
    waits: bool = True
    """Whether who knocks waits until the daemon is ready."""
    goodbye: Callable[[], Deferred[None] | None] = lambda: None
    """Ends the connections that are still there, once nobody new can come."""
    ports: dict[str, IListeningPort] = attrs.field(factory=dict)

    async def open(self) -> None:
        """Listen; raises `StartFailed`."""
        for text, endpoint in self.endpoints.items():
            try:
                port = await endpoint.listen(self.factory)
            except (CannotListenError, OSError) as error:
                why = f"cannot listen on {text}: {_reason(error)}; end what uses it, or choose another --{self.name}"
                raise StartFailed(f"{self.name}: {why}") from error
            except OverflowError as error:
                raise StartFailed(f"{self.name}: cannot listen on {text}: ports go up to 65535; choose another --{self.name}") from error
            self.ports[text] = port
            if self.waits:
                _of_descriptor(port, "stopReading")

    def places(self) -> list[tuple[str, int]]:
        """Host and port of each open TCP port."""
        found = [port.getHost() for port in self.ports.values()]
        return [(host.host, host.port) for host in found if isinstance(host, IPv4Address | IPv6Address)]

    def let_in(self) -> None:
        """Answer those who wait."""
        if self.waits:
            for port in self.ports.values():
                _of_descriptor(port, "startReading")

    async def close(self) -> None:
        """Listen no more, and end what is there."""
        ports, self.ports = list(self.ports.values()), {}
        await gatherResults([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)
        await maybeDeferred(self.goodbye)


@attrs.frozen(kw_only=True)
class Part:
    """Something that the daemon starts before its doors and stops after them."""

    name: str
    start: Callable[[], Deferred[None] | None]
    stop: Callable[[], Deferred[None] | None]


class Stack:
    """Parts that stand on each other: started one after the other, stopped the last first."""

    _log = Logger()

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._running: list[Part] = []

    @deferring
    async def start(self) -> None:
        """Fires when all run. Fails with `StartFailed` where one cannot; what runs then is stopped by `stop`."""
        for part in self._parts:
            try:
                await maybeDeferred(part.start)
            except DatabaseUnavailable as error:
                raise StartFailed(f"database: {error.message}") from error
            except OSError as error:
                raise StartFailed(f"{part.name}: {error.filename or ''}: {_reason(error)}") from error
            self._running.append(part)

    @deferring
    async def stop(self) -> None:
        """Fires when all that ran are stopped, whatever some of them had to say."""
        while self._running:
            part = self._running.pop()
            await put_away(part.name, part.stop)


async def put_away(name: str, stop: Callable[[], Any]) -> None:
    """Stop one thing; that it fails must not keep the others up."""
    try:
        stopped = stop()
        if stopped is not None:
            await stopped
    except Exception:
        Logger().failure("{name} did not stop well", name=name)


@attrs.define(eq=False, kw_only=True, slots=False)
class Daemon(Service):
    """The service that `twistd gameroom` runs, and that a .tac file may run beside others."""

    clock: IReactorTime
    doors: Sequence[Door]
    behind: Stack
    """What the doors need."""
    metrics: Metrics = attrs.field(factory=Metrics)
    drain_seconds: float = 0.0
    drain_rooms: Callable[[], Deferred[None]] = lambda: succeed(None)
    """Lets nothing new start; fires when no room plays."""
    check_database: Callable[[], Deferred[None]] = lambda: succeed(None)
    opened: Callable[[Mapping[str, Door]], None] = lambda doors: None
    """Told the doors, by name, once all their ports are open and before any answers."""
    announce: Callable[[str], None] = lambda state: None
    """Told `READY` and `STOPPING`."""
    failed: Callable[[str], None] = lambda message: None
    """Told why it could not start; the log has it too."""
    raise_early: bool = False
    """Where `twistd` goes to the background it waits for the ports only, and wants them as an exception."""

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._opening: Deferred[None] | None = None
        self._starting: Deferred[None] | None = None
        self._ready = False
        self.draining = False
        """Whether it is going down by and by."""
        self._due = 0.0
        self._beating = LoopingCall(self._beat)
        self._beating.clock = self.clock

    # Starting.

    def privilegedStartService(self) -> None:
        """Open the ports, while we may still be root."""
        Service.privilegedStartService(self)
        self._opening = Deferred.fromCoroutine(self._open())
        result = getattr(self._opening, "result", None)
        if self.raise_early and isinstance(result, Failure):
            self._opening.addErrback(lambda failure: None)
            result.raiseException()

    def startService(self) -> None:
        Service.startService(self)
        if self._opening is None:
            self._opening = Deferred.fromCoroutine(self._open())
        self._starting = Deferred.fromCoroutine(self._start(self._opening))
        self._starting.addErrback(self._start_failed)

    async def _open(self) -> None:
        for door in self.doors:
            await door.open()

    async def _start(self, opening: Deferred[None]) -> None:
        await opening
        self.opened({door.name: door for door in self.doors})
        self._beating.start(BEAT)
        await self.behind.start()
        for door in self.doors:
            door.let_in()
            for text in door.ports:
                self._log.info("door {door} is open at {endpoint}", door=door.name, endpoint=text)
        self._ready = True
        self.announce(READY)

    def _start_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(StartFailed):
            message = failure.getErrorMessage()
        else:
            self._log.failure("the daemon could not start", failure)
            message = f"could not start: {type(failure.value).__name__}: {failure.getErrorMessage()}; the log has more"
        message = " ".join(message.split())
        self._log.critical("cannot start: {message}", message=message)
        self.failed(message)

    # Being there.

    def ready(self) -> Deferred[None]:
        """Fires where this node takes players; fails with `NotReady`, or with what the database says."""
        if self.draining or not self._ready:
            return fail(NotReady("going down" if self.draining else "starting"))
        return self.check_database().addErrback(_database_is_away)

    def _beat(self) -> None:
        now = self.clock.seconds()
        if self._due:
            self.metrics.reactor_lag(now - self._due)
        self._due = now + BEAT

    # Going down.

    def drain(self) -> Deferred[None]:
        """Let nothing new start, and wait for the rooms that play, but no longer than `drain_seconds`."""
        self.draining = True
        self._log.info("going down; rooms that play have {seconds} s to end", seconds=self.drain_seconds)
        self.announce(STOPPING)
        if not self._ready:
            return succeed(None)
        return self.drain_rooms().addTimeout(self.drain_seconds, self.clock).addErrback(self._drained_too_late)

    def _drained_too_late(self, failure: Failure) -> None:
        failure.trap(TimeoutError)
        self._log.info("rooms still play; they go on after the next start")

    def stopService(self) -> Deferred[None]:
        """Close the doors, then stop what is behind them, the last that started first."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(Service.stopService, self)
        if not self.draining:
            self.announce(STOPPING)
        self._ready = False
        if self._starting is not None:
            self._starting.cancel()
        if self._beating.running:
            self._beating.stop()
        for door in self.doors:
            await put_away(door.name, door.close)
        await self.behind.stop()


class DataFolder:
    """The folder in which everything is kept, for nobody else to read.

    With `exclusive` no second daemon may use it at the same time: an embedded database is one daemon's.
    """

    def __init__(self, path: Path, *, exclusive: bool) -> None:
        self._path = path
        self._exclusive = exclusive
        self._lock: IO[bytes] | None = None

    def take(self) -> None:
        """Make it where it is not there; raises `StartFailed`."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._path / "lock").open("wb")
        except OSError as error:
            raise StartFailed(f"data: {self._path} cannot be used: {_reason(error)}; choose another folder with --data") from error
        if self._exclusive:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.close()
                raise StartFailed(f"data: {self._path} is in use by another gameroom; end that one, or choose another folder with --data") from error
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def notify_systemd(address: str) -> Callable[[str], None]:
    """What tells a service manager of `Type=notify` how we are; `address` is `$NOTIFY_SOCKET`, or empty where there is none."""

    def notify(state: str) -> None:
        if not address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            try:
                to.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
            except OSError:
                Logger().failure("the service manager cannot be told {state}", state=state)

    return notify


def _of_descriptor(port: IListeningPort, name: str) -> None:
    """Stop or go on accepting; what is no file descriptor (a test's) accepts nobody by itself."""
    method = getattr(port, name, None)
    if method is not None:
        method()


def _reason(error: Any) -> str:
    """Why the system refused, without the address that the line has already."""
    cause = getattr(error, "socketError", error)
    return str(getattr(cause, "strerror", None) or cause)


def _database_is_away(failure: Failure) -> None:
    raise NotReady("the database does not answer") from failure.value
