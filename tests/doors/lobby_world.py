"""A lobby on real accounts, games and rooms, in memory, and the peers that talk to it."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.accounts import Accounts
from gameroom.doors.line_protocol import LineFactory
from gameroom.doors.lobby import LobbyFactory
from gameroom.downloads import Downloads
from gameroom.hashing import PasswordHasher
from gameroom.interfaces import IDatabase
from gameroom.metrics import Metrics
from gameroom.presence import Presence
from gameroom.registry import Registry
from gameroom.reviews import Reviews
from gameroom.settings import Addresses, Limits, RoomSettings, StoreSettings
from gameroom.store.folders import remove_tree
from tests.catalogues import start_catalogue
from tests.memory import MemoryDatabase
from tests.rooms import NotingReferee

GAME = """
[game]
name = "Dots"
description = "Join the dots."
game_type = "multi"
max_players = 3
version = "1.0.0"

[hosting]
kind = "lockstep"
min_players = 2
max_players = 3

[lockstep]
engine = "engine.js"
"""


@implementer(ITCPTransport)
class TCP(StringTransport):
    """A TCP transport that keeps what it is given, takes anything, and tells how it ended."""

    lost = False
    aborted = False
    write_lost = False
    no_delay = keep_alive = False

    def loseConnection(self) -> None:
        self.lost = True

    def abortConnection(self) -> None:
        self.lost = self.aborted = True

    def loseWriteConnection(self) -> None:
        self.write_lost = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def getHandle(self) -> object:
        return self

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def getTcpKeepAlive(self) -> bool:
        return self.keep_alive


class Peer:
    """One client of a JSON-lines door. `peer_address` is whom a proxy at `address` speaks for."""

    make_transport = TCP

    def __init__(self, factory: LineFactory, address: str, peer_address: str = "") -> None:
        protocol = factory.buildProtocol(IPv4Address("TCP", address, 50000))
        assert protocol is not None
        self.protocol: Any = protocol
        self.transport = self.make_transport(peerAddress=IPv4Address("TCP", peer_address or address, 50000))
        self.protocol.makeConnection(self.transport)
        self.token: str | None = None
        self.pushes: list[dict[str, Any]] = []

    def send(self, type_: str, **payload: Any) -> None:
        """Send a request without looking for its answer."""
        self.raw(self.line(type_, **payload))

    def raw(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def line(self, type_: str, **payload: Any) -> bytes:
        """A request of this peer as a line; fields named `from_` and the like lose their underscore."""
        request: dict[str, Any] = {"type": type_, "payload": payload}
        if self.token is not None:
            request["token"] = self.token
        return orjson.dumps(request) + b"\n"

    def answers(self) -> list[dict[str, Any]]:
        """The answers since the last look; pushes go to `pushes`."""
        data = self.transport.value()
        self.transport.clear()
        assert data == b"" or data.endswith(b"\n"), data
        messages = [orjson.loads(line) for line in data.splitlines()]
        self.pushes += [message for message in messages if "type" in message]
        return [message for message in messages if "type" not in message]

    def ask(self, type_: str, **payload: Any) -> dict[str, Any]:
        """Send a request; its answer, which must have come at once and alone."""
        self.answers()
        self.send(type_, **payload)
        [answer] = self.answers()
        return answer

    def ok(self, type_: str, **payload: Any) -> dict[str, Any]:
        """As `ask`, for one that succeeds: the payload."""
        answer = self.ask(type_, **payload)
        assert answer["code"] == 0, answer
        assert answer.keys() == {"status", "code", "message", "payload"}
        assert (answer["status"], type(answer["message"])) == ("ok", str)
        return answer["payload"]  # type: ignore[no-any-return]

    def code(self, type_: str, **payload: Any) -> int:
        """As `ask`: the code."""
        return int(self.ask(type_, **payload)["code"])

    def pushed(self, *types: str) -> list[Any]:
        """The payloads of pushes of these types (of all, without) since the last look."""
        assert self.answers() == []
        pushes, self.pushes = self.pushes, []
        return [push["payload"] for push in pushes if not types or push["type"] in types]

    def pause(self) -> None:
        """The peer stops reading, and its transport is full."""
        assert self.transport.producer is not None
        self.transport.producer.pauseProducing()

    def resume(self) -> None:
        assert self.transport.producer is not None
        self.transport.producer.resumeProducing()

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class Postponed:
    """Runs work only when told: for a hasher that takes its time."""

    def __init__(self) -> None:
        self.held = False
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], Any]) -> Deferred[Any]:
        if not self.held:
            return maybeDeferred(work)
        done: Deferred[Any] = Deferred()
        self.waiting.append(lambda: done.callback(work()))
        return done

    def go_on(self) -> None:
        self.held = False
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()


class World:
    """Everything that a lobby stands on, and a lobby."""

    def __init__(self, database: IDatabase | None = None, store: StoreSettings | None = None, **limits: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.limits = Limits(**{"login_tries": 1000, **limits})
        self.database: Any = MemoryDatabase() if database is None else database
        self.hashing = Postponed()
        self.accounts = Accounts(
            database=self.database,
            hasher=PasswordHasher(run_in_thread=self.hashing, cost=4),
            clock=self.clock,
            random_bytes=os.urandom,
            limits=lambda: self.limits,
        )
        self.data = Path(tempfile.mkdtemp(prefix="gameroom-lobby-"))
        weakref.finalize(self, remove_tree, self.data)
        games = self.data / "games"
        (games / "dots").mkdir(parents=True)
        (games / "dots" / "game.toml").write_text(GAME)
        (games / "dots" / "engine.js").write_text("export default null")
        self.catalogue = start_catalogue(self.database, self.data, self.clock, games)
        self.reviews = Reviews(database=self.database, clock=self.clock, settings=store)
        self.downloads = Downloads(catalogue=self.catalogue, reviews=self.reviews)
        self.presence = Presence(self.clock)
        self.addresses = Addresses(public_host="play.example")
        self.referees: list[NotingReferee] = []
        self.registry = Registry(
            database=self.database,
            accounts=self.accounts,
            catalogue=self.catalogue,
            presence=self.presence,
            addresses=self.addresses,
            clock=self.clock,
            random_bytes=os.urandom,
            node="here",
            settings=RoomSettings(),
            limits=lambda: self.limits,
            referees={"lockstep": self._referee},
        )
        self.registry.start()
        self.metrics = Metrics()
        self.lobby = self.factory()

    def _referee(self, room: Any) -> NotingReferee:
        self.referees.append(NotingReferee(room))
        return self.referees[-1]

    def factory(self, **changed: Any) -> LobbyFactory:
        """A lobby, with parts exchanged."""
        parts: dict[str, Any] = {
            "registry": self.registry,
            "accounts": self.accounts,
            "catalogue": self.catalogue,
            "reviews": self.reviews,
            "downloads": self.downloads,
            "presence": self.presence,
            "clock": self.clock,
            "limits": lambda: self.limits,
            "metrics": self.metrics,
            "new_incident": lambda: "incident-1",
        }
        return LobbyFactory(**{**parts, **changed})

    def peer(self, username: str | None = None, address: str = "192.0.2.1") -> Peer:
        """A connection, registered as somebody where a name is given."""
        peer = Peer(self.lobby, address)
        if username is not None:
            peer.token = peer.ok("REGISTER_PLAYER", username=username, password="correct horse")["session_token"]
        return peer

    def game_id(self, peer: Peer) -> str:
        [game] = peer.ok("LIST_GAMES")["games"]
        return str(game["game_id"])

    def room(self, host: Peer, **options: Any) -> str:
        """A room of the game, with this host."""
        return str(host.ok("CREATE_ROOM", game_id=self.game_id(host), **options)["room_id"])
