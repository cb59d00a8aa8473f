"""A micro game service at the other end of connections that are not there: tests answer by hand, and misbehave by hand."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gameroom.gameservices.client import ServiceClient
from gameroom.settings import ServiceSettings
from gameroom.wire.game_service import Message, Player, Said, State, Update, state_to_bytes, update_from_bytes
from gameroom.wire.prefixed import Frames, framed

MOST_BYTES = 3 << 20
"""Of an answer, as the operator has set it."""
PLAYERS = (Player(0, "ada", "Ada", True), Player(1, "bob", "Bob", False))


def an_update(sequence: int = 1, room_id: str = "r1", state: bytes = b"state", data: bytes = b"{}") -> Update:
    return Update(
        request=0,
        room_id=room_id,
        sequence=sequence,
        state=state,
        players=PLAYERS,
        event=Message(0, data, True),
        now_ms=1_700_000_000_000,
        game_id="dice",
        version="1.0.0",
    )


def answer_to(update: Update) -> State:
    """What the good service says: a function of the update."""
    assert isinstance(update.event, Message)
    return State(
        request=update.request,
        sequence=update.sequence,
        state=update.state + update.event.data,
        broadcast=(Said(b'{"of":"%s"}' % update.room_id.encode(), True),),
    )


class Line:
    """One connection, as the service sees it."""

    def __init__(self, network: Network, protocol: Any) -> None:
        self.network, self.protocol = network, protocol
        self.transport = StringTransport()
        self.open = True
        self._frames = Frames(MOST_BYTES)
        self.frames: list[bytes] = []
        """All that came."""
        self.unanswered: list[Update] = []

    def read(self) -> list[Update]:
        """Take what came; gives all that was not answered yet."""
        found = self._frames.feed(self.transport.value())
        self.transport.clear()
        self.frames += found
        self.unanswered += [update_from_bytes(frame) for frame in found]
        return self.unanswered

    def say(self, data: bytes) -> None:
        """Bytes as they are; then what is aborted ends."""
        if self.open:
            self.protocol.dataReceived(data)

    def answer(self, update: Update, **changes: Any) -> None:
        """The right answer, or one with changes."""
        if update in self.unanswered:
            self.unanswered.remove(update)
        self.say(framed(state_to_bytes(attrs.evolve(answer_to(update), **changes))))

    def answer_all(self) -> int:
        """Everything that came. Gives how much it was."""
        updates = list(self.read())
        for update in updates:
            self.answer(update)
        return len(updates)

    def lose(self) -> None:
        """The connection is gone."""
        if self.open:
            self.open = False
            self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def aborted(self) -> bool:
        return self.transport.disconnected


class Network:
    """Endpoint and service in one."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.lines: list[Line] = []
        """All that there ever were."""
        self.refuses = False
        self.hangs = False
        """Whether attempts get no answer; they are then in `attempts`."""
        self.attempts: list[tuple[Deferred[IProtocol], IProtocolFactory]] = []
        self.tried = 0
        self.most_open = 0
        self.told: list[str] = []
        self.seconds: list[float] = []
        self.recorded: list[tuple[bytes, bytes]] = []
        self.retries = 0

    def client(self, **settings: Any) -> ServiceClient:
        return ServiceClient(
            connect=self.connect,
            clock=self.clock,
            settings=ServiceSettings(**settings),
            most_bytes=lambda: MOST_BYTES,
            told=self.told.append,
            record=lambda update, state: self.recorded.append((update, state)),
            observe=self.seconds.append,
            retried=self._retried,
        )

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        self.tried += 1
        made: Deferred[IProtocol] = Deferred()
        if self.hangs:
            self.attempts.append((made, factory))
        else:
            self.let_in(made, factory)
        return made

    def let_in(self, made: Deferred[IProtocol], factory: IProtocolFactory) -> None:
        if self.refuses:
            made.errback(ConnectionRefusedError())
            return
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        line = Line(self, protocol)
        self.lines.append(line)
        self.most_open = max(self.most_open, len(self.open))
        protocol.makeConnection(line.transport)
        made.callback(protocol)

    def settle(self) -> None:
        """What was aborted ends."""
        for line in self.open:
            if line.aborted:
                line.lose()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    @property
    def open(self) -> list[Line]:
        return [line for line in self.lines if line.open]

    def waiting(self) -> list[tuple[Line, Update]]:
        """All that is in flight, in the order of connections."""
        return [(line, update) for line in self.open if not line.aborted for update in line.read()]

    def _retried(self) -> None:
        self.retries += 1
