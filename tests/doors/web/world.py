"""A web door on real accounts, games and rooms, in memory, and the peers that talk to it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import attrs
import orjson
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.accounts import Accounts
from gameroom.developer_games import DeveloperGames
from gameroom.doors.web import WebSite
from gameroom.hashing import PasswordHasher
from gameroom.metrics import Metrics
from gameroom.presence import Presence
from gameroom.program_logs import ProgramLogs
from gameroom.registry import Registry
from gameroom.reviews import Reviews
from gameroom.settings import Addresses, Limits, RoomSettings, StoreSettings, WebSettings
from gameroom.store.bundles import BundleFiles
from gameroom.store.recordings import Recordings
from gameroom.uploads import Uploads
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

[client]
web = "page/index.html"
"""
HOST = "play.example:8080"


@implementer(ITCPTransport)
class TCP(StringTransport):
    """A TCP transport that keeps what it is given and tells how it ended; `protocol` is who reads from it."""

    aborted = False
    reading = True
    protocol: Any = None
    producer: Any = None

    def abortConnection(self) -> None:
        self.aborted = self.disconnecting = True

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def unregisterProducer(self) -> None:
        """As real transports have it: whether or not there is one."""
        self.producer = None

    def loseWriteConnection(self) -> None: ...

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...

    def getTcpNoDelay(self) -> bool:
        return True

    def getTcpKeepAlive(self) -> bool:
        return True

    def getHandle(self) -> object:
        return self


@attrs.frozen
class Response:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def read_responses(data: bytes, *, heads_only: bool = False) -> list[Response]:
    """All the responses in these bytes, which end with the last of them."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, line
            headers[name.lower()] = value
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            body, data = _chunks(data)
        elif "content-length" in headers and not heads_only:
            size = int(headers["content-length"])
            body, data = data[:size], data[size:]
        found.append(Response(int(lines[0].split(" ")[1]), headers, body))
    return found


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, data.removeprefix(b"\r\n")
        body, data = body + data[:length], data[length + 2 :]


class Peer:
    """One connection to the web door."""

    def __init__(self, world: WebWorld, address: str) -> None:
        protocol = world.site.buildProtocol(IPv4Address("TCP", address, 50000))
        self.refused = protocol is None
        self.transport = TCP(peerAddress=IPv4Address("TCP", address, 50000))
        if protocol is not None:
            self.transport.protocol = protocol
            protocol.makeConnection(self.transport)

    def raw(self, data: bytes) -> None:
        """Bytes from the peer, to whoever reads from the transport now."""
        self.transport.protocol.dataReceived(data)

    def take(self) -> bytes:
        """What has come since the last look."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def lose(self) -> None:
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))


class WebWorld:
    """Everything that a web door stands on, and a web door."""

    def __init__(self, web: WebSettings | None = None, addresses: Addresses | None = None, store: StoreSettings | None = None, **limits: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.limits = Limits(**{"login_tries": 1000, **limits})
        self.database = MemoryDatabase()
        random_bytes = Random(7).randbytes
        self.accounts = Accounts(
            database=self.database,
            hasher=PasswordHasher(run_in_thread=maybeDeferred, cost=4),
            clock=self.clock,
            random_bytes=random_bytes,
            limits=lambda: self.limits,
        )
        self.folder = tempfile.TemporaryDirectory()
        games = Path(self.folder.name) / "games"
        (games / "dots" / "page").mkdir(parents=True)
        (games / "dots" / "game.toml").write_text(GAME)
        (games / "dots" / "engine.js").write_text("export default null")
        (games / "dots" / "page" / "index.html").write_text("<title>Dots</title>")
        self.catalogue = start_catalogue(self.database, Path(self.folder.name), self.clock, games)
        self.recordings = Recordings(Path(self.folder.name) / "recordings", clock=self.clock, defer_to_thread=maybeDeferred)
        self.referees: list[NotingReferee] = []
        self.addresses = addresses or Addresses(public_host="play.example")
        self.registry = Registry(
            database=self.database,
            accounts=self.accounts,
            catalogue=self.catalogue,
            presence=Presence(self.clock),
            addresses=self.addresses,
            clock=self.clock,
            random_bytes=random_bytes,
            node="here",
            settings=RoomSettings(),
            limits=lambda: self.limits,
            referees={"lockstep": self._referee},
        )
        self.registry.start()
        self.metrics = Metrics()
        self.logs = ProgramLogs(self.clock)
        self.reviews = Reviews(database=self.database, clock=self.clock, settings=store)
        self.games = DeveloperGames(database=self.database, clock=self.clock, logs=self.logs, random_bytes=random_bytes)
        self.uploads = self._uploads(Path(self.folder.name), random_bytes)
        self.site = WebSite(
            registry=self.registry,
            accounts=self.accounts,
            catalogue=self.catalogue,
            recordings=self.recordings,
            addresses=self.addresses,
            clock=self.clock,
            limits=lambda: self.limits,
            web=web,
            metrics=self.metrics,
            games=self.games,
            uploads=self.uploads,
            reviews=self.reviews,
        )
        self.site.doStart()

    def _uploads(self, data: Path, random_bytes: Callable[[int], bytes]) -> Uploads:
        uploads = Uploads(
            database=self.database,
            bundles=BundleFiles(data),
            folder=data / "uploads",
            clock=self.clock,
            limits=lambda: self.limits,
            settings=StoreSettings(),
            defer_to_thread=maybeDeferred,
            random_bytes=random_bytes,
            boot="this one",
        )
        uploads.start()
        return uploads

    def _referee(self, room: Any) -> NotingReferee:
        self.referees.append(NotingReferee(room))
        return self.referees[-1]

    def close(self) -> None:
        self.folder.cleanup()

    def peer(self, address: str = "192.0.2.1") -> Peer:
        return Peer(self, address)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        address: str = "192.0.2.1",
    ) -> Response:
        """One request on a connection of its own; its answer, which must have come at once."""
        peer = self.peer(address)
        peer.raw(request(method, path, body, token=token, headers=headers))
        [response] = read_responses(peer.take(), heads_only=method == "HEAD")
        peer.lose()
        return response

    def register(self, username: str) -> str:
        """A new player; the session token."""
        response = self.ask("POST", "/register", {"username": username, "password": "correct horse"})
        assert response.status == 201, response
        return str(response.json["session_token"])

    def developer(self, username: str) -> str:
        """A new developer; the session token."""
        response = self.ask("POST", "/developer/register", {"username": username, "password": "correct horse"})
        assert response.status == 201, response
        return str(response.json["session_token"])

    def create(self, token: str, **fields: Any) -> str:
        """A new room; its id."""
        content = {"engine": {"source": "export default 1", "media_type": "text/javascript"}, **fields}
        response = self.ask("POST", "/create", content, token=token)
        assert response.status == 201, response
        return str(response.json["room_id"])

    def join(self, room_id: str, token: str | None = None, **fields: Any) -> dict[str, Any]:
        """A new member."""
        response = self.ask("POST", f"/join/{room_id}", fields, token=token)
        assert response.status == 201, response
        return dict(response.json)

    def game_id(self) -> str:
        return str(self.ask("GET", "/games").json["games"][0]["game_id"])

    def add_file(self, name: str, data: bytes) -> None:
        """One more file in the folder that the game is served from."""
        self.ask("GET", f"/play/{self.game_id()}/1.0.0/engine.js")
        [folder] = (Path(self.folder.name) / "unpacked").iterdir()
        folder.chmod(0o755)
        (folder / name).write_bytes(data)


def request(method: str, path: str, body: Any = None, *, token: str | None = None, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a request; a body that is not bytes is sent as JSON."""
    fields = {"Host": HOST}
    if body is not None and not isinstance(body, bytes):
        body = orjson.dumps(body)
        fields["Content-Type"] = "application/json"
    if body is not None:
        fields["Content-Length"] = str(len(body))
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    fields.update(headers or {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + (body or b"")
