"""A GameServer that a test plays: its connections, its program and its listening socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint, ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.errors import BadState
from gameroom.gameservers.values import Participant
from gameroom.programs.order import Order
from gameroom.wire import game_port
from gameroom.wire.envelope import Envelope, EnvelopeReader

ADA = Participant(seat=0, id="ada", name="Ada")
BOB = Participant(seat=1, id="a81bc81b-dead-4e5d-abff-90865d1e13b1", name="guest-x7Yq")
TOKEN = "dG9rZW4"


@implementer(ITCPTransport)
class Wire(StringTransport):
    """Our end of a connection to the GameServer; `say` and `hang_up` are what the GameServer does."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.options: dict[str, Any] = {}
        self.half_closed = self.aborted = self.gone = False
        self.paused = False
        """Whether we read nothing of it."""
        protocol.makeConnection(self)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.options["no_delay"] = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.options["keep_alive"] = enabled

    def getTcpNoDelay(self) -> bool:
        return bool(self.options["no_delay"])

    def getTcpKeepAlive(self) -> bool:
        return bool(self.options["keep_alive"])

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def unregisterProducer(self) -> None:
        self.producer = self.streaming = None

    # What the GameServer does.

    def said(self) -> list[tuple[str, Any]]:
        """What came since, by name; a PING's and a PONG's as bytes."""
        reader = EnvelopeReader()
        reader.feed(self.value())
        self.clear()
        names = []
        while (envelope := reader.next()) is not None:
            plain = envelope.type in (game_port.PING, game_port.PONG)
            names.append((game_port.name_of(envelope.type), envelope.data if plain else game_port.decode(envelope)))
        return names

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def say(self, type: int, **values: Any) -> None:
        self.send(game_port.encode(type, values))

    def say_data(self, type: int, data: bytes, en: int = 1) -> None:
        self.send(Envelope(type, data, en).to_bytes())

    def hang_up(self, *, cleanly: bool = True) -> None:
        """The connection is lost; again is nothing."""
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(ConnectionDone() if cleanly else ConnectionLost()))


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Connects when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, Deferred[Any]]] = []
        self.cancelled = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        def cancel(_: Deferred[Any]) -> None:
            self.cancelled += 1

        done: Deferred[Any] = Deferred(cancel)
        self.waiting.append((factory, done))
        return done

    def connected(self) -> Wire:
        """The GameServer's end of the connection that was asked for first."""
        factory, done = self.waiting.pop(0)
        wire = Wire(factory.buildProtocol(None))
        done.callback(wire.protocol)
        return wire

    def refused(self, error: Exception) -> None:
        self.waiting.pop(0)[1].errback(error)


class FakeProgram:
    """A program whose end the test says."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.why: str | None = None
        self.ends: list[float] = []
        """The patience of each `end`."""
        self._waiting: list[Deferred[str]] = []

    @property
    def running(self) -> bool:
        return self.why is None

    @property
    def pid(self) -> int:
        return 4242

    def ended(self) -> Deferred[str]:
        done: Deferred[str] = Deferred()
        if self.why is not None:
            done.callback(self.why)
        else:
            self._waiting.append(done)
        return done

    def end(self, patience: float = 5.0) -> Deferred[None]:
        self.ends.append(patience)
        return self.ended().addCallback(lambda _: None)

    def kill(self) -> None:
        raise AssertionError("GameServers are ended with patience")

    def gone(self, why: str = "ended with status 0") -> None:
        """It has ended."""
        self.why = why
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(why)


class FakePrograms:
    """Runs such programs, unless it cannot."""

    def __init__(self) -> None:
        self.programs: list[FakeProgram] = []
        self.refuses: BadState | None = None
        self.breaks: Exception | None = None
        self._full: list[Callable[[], None]] = []

    def when_full(self, told: Callable[[], None]) -> None:
        self._full.append(told)

    def require(self, made_from: str = "") -> None:
        if self.refuses is not None:
            for told in self._full:
                told()
            raise self.refuses

    def run(self, order: Order) -> FakeProgram:
        if self.breaks is not None:
            raise self.breaks
        assert not order.listening.closed  # type: ignore[attr-defined]  # a Listening of ours
        self.programs.append(FakeProgram(order))
        return self.programs[-1]


class Listening:
    """A listening socket."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port, self.closed = host, port, False

    def getsockname(self) -> tuple[str, int]:
        return self.host, self.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


class FakePorts:
    """Gives out such sockets."""

    def __init__(self) -> None:
        self.given: list[Listening] = []

    def loopback(self) -> Listening:
        return self._give("127.0.0.1", 40000)

    def direct(self) -> Listening:
        return self._give("0.0.0.0", 20000)

    def _give(self, host: str, port: int) -> Listening:
        self.given.append(Listening(host, port + len(self.given)))
        return self.given[-1]


def about(players: Sequence[Participant]) -> list[dict[str, Any]]:
    return [{"seat": player.seat, "id": player.id, "name": player.name} for player in players]
