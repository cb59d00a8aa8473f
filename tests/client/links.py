"""Clients in memory: connected to a real door's factory, or to a peer that follows a script."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.test.iosim import FakeTransport, IOPump, connect
from zope.interface import implementer

from gameroom.client.envelope_client import EnvelopeClient
from gameroom.client.lines import LineClient

C = TypeVar("C", bound=LineClient | EnvelopeClient)


class Pipe(FakeTransport):
    """An iosim transport that tells whether it was aborted, and may be full. Its own end hears of the end once the pump goes."""

    aborted = False
    held = False
    """Whether who reads here wants nothing more for now. What comes all the same is theirs to keep."""

    def pauseProducing(self) -> None:
        self.held = True

    def resumeProducing(self) -> None:
        self.held = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    def getHandle(self) -> object:
        return self


@implementer(IStreamClientEndpoint)
class ToFactory:
    """An endpoint in memory: each connection is one of `factory`'s."""

    def __init__(self, factory: IProtocolFactory, clock: Clock) -> None:
        self._factory = factory
        self._clock = clock
        self.pumps: list[IOPump] = []

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        server = self._factory.buildProtocol(None)  # type: ignore[arg-type]
        client = protocolFactory.buildProtocol(None)
        self.pumps.append(connect(server, Pipe(server, isServer=True), client, Pipe(client, isServer=False), clock=self._clock, greet=False))
        return succeed(client)


@implementer(IStreamClientEndpoint)
class Nowhere:
    """An endpoint that never connects, for a reason."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return fail(self._error)


class Script(Protocol):
    """A server that does what a test says. Requests that have come are in `requests`."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.why_lost: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.requests += [orjson.loads(line) for line in data.splitlines()]

    def connectionLost(self, reason: Any = None) -> None:
        self.why_lost = reason

    def ok(self, **payload: Any) -> None:
        self.say({"status": "ok", "code": 0, "message": "ok", "payload": payload})

    def error(self, code: int, message: str = "no", **payload: Any) -> None:
        self.say({"status": "error", "code": code, "message": message, "payload": payload})

    def push(self, type_: str, **payload: Any) -> None:
        self.say({"type": type_, "payload": payload})

    def say(self, value: Any) -> None:
        self.raw(orjson.dumps(value) + b"\n")

    def raw(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Linked:
    """A client and what it is connected to."""

    def __init__(self, client: Any, endpoint: ToFactory, clock: Clock) -> None:
        self.client = client
        self.pump = endpoint.pumps[-1]
        self.clock = clock
        self.script: Any = self.pump.server

    def flush(self) -> None:
        """All that was said is heard, and who put something off for a turn has had that turn."""
        for _ in range(10_000):
            moved = self.pump.pump()
            due = any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls())
            if due:
                self.clock.advance(0)
            if not moved and not due:
                return
        raise AssertionError("they never come to an end")

    def result(self, deferred: Deferred[Any]) -> Any:
        """What it fires with once all is said; raises what it fails with."""
        self.flush()
        results: list[Any] = []
        deferred.addBoth(results.append)
        assert results, "it has not fired"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]


def link(client_class: type[C], factory: IProtocolFactory, clock: Clock) -> Linked:
    """A connected client of a door."""
    endpoint = ToFactory(factory, clock)
    connected: list[C] = []
    connecting: Deferred[Any] = client_class.connect(endpoint, clock)
    connecting.addCallback(connected.append)
    return Linked(connected[0], endpoint, clock)


def scripted(client_class: type[C]) -> Linked:
    """A client that is connected to a `Script`."""
    return link(client_class, Factory.forProtocol(Script), Clock())
