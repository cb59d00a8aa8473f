"""A game port on real accounts, games and rooms, in memory, and native clients that talk to it."""

from __future__ import annotations

from typing import Any

import orjson
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from gameroom.doors.game_port import GamePortFactory
from gameroom.doors.streams import StreamFactory
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, RAW, Envelope, EnvelopeReader
from tests.doors.lobby_world import TCP, World


class Transport(TCP):
    """As a real one: reading stops when it is told to, and a producer is registered once."""

    reading = True

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def unregisterProducer(self) -> None:
        self.producer = self.streaming = None


class Native:
    """One client. `peer_address` is whom a proxy at `address` speaks for."""

    def __init__(self, factory: StreamFactory, address: str = "192.0.2.1", peer_address: str = "", en: int = JSON) -> None:
        protocol = factory.buildProtocol(IPv4Address("TCP", address, 50000))
        assert protocol is not None
        self.first: Any = protocol
        """The protocol with which it began."""
        self.en = en
        self.transport = Transport(peerAddress=IPv4Address("TCP", peer_address or address, 50000))
        self.transport.protocol = protocol  # type: ignore[attr-defined]
        self.protocol.makeConnection(self.transport)
        self._reader = EnvelopeReader()
        self._behind: list[Any] = []
        """What came behind an answer."""
        self.token = ""
        """The seat token that it was told last."""

    @property
    def protocol(self) -> Any:
        """Whom the transport calls."""
        return self.transport.protocol  # type: ignore[attr-defined]

    def raw(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def say(self, type: int, en: int | None = None, **values: Any) -> None:
        self.raw(wire.encode(type, values, self.en if en is None else en))

    def say_room(self, **message: Any) -> None:
        """A room message; `type_` is its type."""
        message["type"] = message.pop("type_")
        self.raw(wire.room_message(orjson.dumps(message), False))

    def say_binary(self, data: bytes) -> None:
        self.raw(wire.room_message(data, True))

    def envelopes(self) -> list[Envelope]:
        """All that has come since the last look."""
        self._reader.feed(self.transport.value())
        self.transport.clear()
        found = []
        while (envelope := self._reader.next()) is not None:
            found.append(envelope)
        return found

    def heard(self) -> list[Any]:
        """Room messages as they are, bytes of binary ones, and all else as (name, fields)."""
        parts, found, self._behind = b"", self._behind, []
        for envelope in self.envelopes():
            if envelope.type == wire.ROOM_PART:
                parts += envelope.data
            elif envelope.type == wire.ROOM:
                data, parts = parts + envelope.data, b""
                found.append(data if envelope.en == RAW else orjson.loads(data))
            elif envelope.type == wire.PONG:
                found.append(("PONG", envelope.data))
            else:
                found.append((wire.name_of(envelope.type), wire.decode(envelope)))
        return found

    def types(self) -> list[Any]:
        """As `heard`, but of room messages the types, of errors the codes, and of others the names."""
        return [_short(each) for each in self.heard()]

    def ask(self, type: int, en: int | None = None, **values: Any) -> dict[str, Any]:
        """Say AUTH, HOST or JOIN: the CONNECTED that comes at once, with `welcome` behind it."""
        self.heard()
        self.say(type, en, **values)
        (name, fields), welcome, *self._behind = self.heard()
        assert (name, welcome["type"]) == ("CONNECTED", "welcome"), (name, fields)
        self.token = fields.get("seat_token", self.token)
        return dict(fields)

    def code(self, type: int, en: int | None = None, **values: Any) -> int:
        """Say something that is refused: the code."""
        self.heard()
        self.say(type, en, **values)
        [code] = self.types()
        return int(code)

    def lose(self, *, cleanly: bool = True) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone() if cleanly else ConnectionLost()))

    def half_close(self) -> None:
        self.protocol.readConnectionLost()

    def pause(self) -> None:
        """The client stops reading, and its transport is full."""
        assert self.transport.producer is not None
        self.transport.producer.pauseProducing()

    def resume(self) -> None:
        assert self.transport.producer is not None
        self.transport.producer.resumeProducing()


def _short(heard: Any) -> Any:
    if isinstance(heard, dict):
        return heard["type"]
    if isinstance(heard, tuple):
        return heard[1]["code"] if heard[0] == "ERROR" else heard[0]
    return heard


class GameWorld(World):
    """As the lobby's, with a game port beside it."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.port = GamePortFactory(
            registry=self.registry,
            accounts=self.accounts,
            catalogue=self.catalogue,
            presence=self.presence,
            clock=self.clock,
            limits=lambda: self.limits,
            metrics=self.metrics,
        )
        self.game = self.game_id(self.peer("finder"))

    def native(self, address: str = "192.0.2.1", **how: Any) -> Native:
        return Native(self.port, address, **how)

    def counted(self, name: str, **labels: str) -> float:
        """A counter or gauge as Prometheus has it."""
        found = 0.0
        for family in self.metrics.collect():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    found += sample.value
        return found
