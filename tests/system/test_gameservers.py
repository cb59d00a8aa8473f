"""GameServers that really run: a program in plain Python, started from a bundle's folder, with and without the sandbox."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from gameroom.errors import BadState, Forbidden, ServerError
from gameroom.gameservers import server as server_module
from gameroom.gameservers.link import ServerLink
from gameroom.gameservers.server import GameServer
from gameroom.gameservers.servers import GameServers
from gameroom.gameservers.values import FINISHED, SERVER_CRASHED, SERVER_ENDED, SERVER_SILENT, Participant, ServerEnd, ServerOrder
from gameroom.programs.programs import Programs
from gameroom.rules.manifest import Server
from gameroom.settings import SandboxSettings, ServerSettings
from tests.system.harness import free_port

# Typed by what it is used for: a reactor has many faces.
reactor: Any = _reactor

PROGRAM = """
import json, os, signal, socket, threading

def read(connection):
    head = connection.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None, b""
    return head[1] >> 2, connection.recv(head[2] << 8 | head[3], socket.MSG_WAITALL)

def say(connection, type, data):
    connection.sendall(bytes((1, type << 2 | 1, len(data) >> 8, len(data) & 255)) + data)

def serve(client):
    read(client)
    who = json.loads(read(client)[1])
    if who["token"] != token or who["name"] == "Mallory":
        say(client, 9, b'{"code":102,"message":"not you"}')
        return
    details = {"who": who["name"], "room": os.environ["GAMEROOM_ROOM_ID"], "port": os.environ["GAMEROOM_PORT"]}
    say(client, 5, json.dumps({"details": details}).encode())
    say(client, 6, b'{"map":3}')
    echo(client)

def echo(client):
    while data := client.recv(65536):
        if data == b"finish":
            say(control, 13, b'{"state":"finished","results":{"winner":0}}')
            os._exit(0)
        if data.startswith(b"exit "):
            os._exit(int(data[5:]))
        client.sendall(data)

def accept(serve):
    while True:
        threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

listening = socket.socket(fileno=3)
if "GAMEROOM_PLAYERS" in os.environ:
    accept(lambda client: (client.sendall(os.environ["GAMEROOM_PLAYERS"].encode()), echo(client)))
control = listening.accept()[0]
assert json.loads(read(control)[1]) == {"type": "control"}
said = json.loads(read(control)[1])
token, does = said["token"], said["options"]["config"].get("does")
if does == "crash":
    raise SystemExit(3)
if does == "wait":
    read(control)
if does == "stay":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
say(control, 13, b'{"state":"ready"}')
threading.Thread(target=accept, args=(serve,), daemon=True).start()
while True:
    type, data = read(control)
    if type == 10 and does != "keep silent":
        say(control, 11, data)
    if type is None and does != "stay":
        break
    if type is None:
        signal.pause()
"""

ADA = Participant(seat=0, id="ada", name="Ada")


class Client(Protocol):
    """Takes a link, or is connected directly, and hears."""

    def __init__(self, link: ServerLink | None = None) -> None:
        self.link = link
        self.heard = b""
        self._waiting: list[tuple[bytes, Deferred[None]]] = []

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def hears(self, end: bytes) -> Deferred[None]:
        """Fires once what it has heard ends with this."""
        hears: Deferred[None] = Deferred()
        self._waiting.append((end, hears))
        self.dataReceived(b"")
        return hears

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        for end, hears in list(self._waiting):
            if self.heard.endswith(end):
                self._waiting.remove((end, hears))
                hears.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.link is not None:
            self.link.lost()


class GameServersOf:
    """Those of a daemon, and one start."""

    kind: str
    ping_interval = 10.0
    addCleanup: Any
    assertEqual: Any
    assertIn: Any
    assertLess: Any
    assertRaises: Any
    assertFalse: Any
    patch: Any

    async def setUp(self) -> None:
        if self.kind == "bubblewrap" and shutil.which("bwrap") is None:
            raise SkipTest("there is no bubblewrap here")
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        (self.folder / "server.py").write_text(PROGRAM)
        self.log: list[str] = []
        self.direct_port = free_port()
        self.end: Deferred[ServerEnd] = Deferred()
        sandbox = SandboxSettings(kind=self.kind, direct_ports=(self.direct_port, self.direct_port + 9), direct_interface="127.0.0.1")
        self.programs = Programs(reactor=reactor, settings=sandbox, log=lambda _, text: self.log.append(text))
        await self.programs.start()
        self.gameservers = GameServers(
            programs=self.programs,
            reactor=reactor,
            settings=ServerSettings(ping_interval=self.ping_interval),
            sandbox=sandbox,
            random_bytes=os.urandom,
            log=lambda _, text: self.log.append(text),
        )
        self.addCleanup(self.programs.stop)
        self.addCleanup(self.gameservers.stop)
        self.patch(server_module, "PATIENCE", 0.3)
        self.patch(server_module, "FINISHED_SECONDS", 0.3)

    def start(self, does: str = "play", *, ready_timeout: float = 60.0, connect: str = "proxy") -> Deferred[GameServer]:
        server = Server(command=("python3", "server.py"), ready_timeout=ready_timeout, connect=connect, config={"does": does})
        order = ServerOrder(room_id="room-1", game_id="g", version="1.0.0", folder=self.folder, server=server, max_players=2, players=(ADA,))
        return self.gameservers.start(order, self.end.callback)

    async def enter(self, server: GameServer, name: str = "Ada") -> tuple[dict[str, Any], Client]:
        link = server.link(Participant(seat=0, id="ada", name=name))
        fields = await link.open()
        client = Client(link)
        link.take(client)
        return fields, client

    async def failed(self, starting: Deferred[GameServer]) -> str:
        try:
            await starting
        except ServerError as error:
            return error.message
        raise AssertionError("it has got ready")

    async def gone(self) -> None:
        """Nothing is left."""
        for program in list(self.programs._running):
            await program.ended()


class PlaysOf(GameServersOf):
    """What is tried with the sandbox and without."""

    async def test_a_play(self) -> None:
        """Ready, two clients, bytes there and back; it says that the play is finished and ends at once, and is heard nevertheless."""
        server = await self.start()
        fields, ada = await self.enter(server)
        self.assertEqual(fields, {"details": {"who": "Ada", "room": "room-1", "port": str(server.port)}})
        await ada.hears(b'{"map":3}')
        _, bob = await self.enter(server, "Bob")
        data = os.urandom(1 << 20)
        for client in (ada, bob):
            client.say(data)
        for client in (ada, bob):
            await client.hears(data)
        try:
            await self.enter(server, "Mallory")
        except Forbidden as error:
            self.assertEqual(error.message, "not you")
        ada.say(b"finish")
        self.assertEqual(await self.end, ServerEnd(reason=FINISHED, results={"winner": 0}))
        await server.end()
        with self.assertRaises(BadState):
            # What is told is another thing where somebody else has its port by now.
            await self.enter(server)

    async def test_ends_while_it_plays(self) -> None:
        """With a status, and so not as it should; or by itself."""
        for status, reason in ((b"4", SERVER_CRASHED), (b"0", SERVER_ENDED)):
            self.end = Deferred()
            _, client = await self.enter(await self.start())
            client.say(b"exit " + status)
            end = await self.end
            self.assertEqual((end.reason, end.message), (reason, f"the game's server ended with status {status.decode()}"))


class InTheSandboxTests(PlaysOf, TestCase):  # type: ignore[misc]
    """As operators run it."""

    kind = "bubblewrap"

    async def test_never_ready(self) -> None:
        """It crashes before, or takes too long: a sentence for a person, and its last words for the developer."""
        self.assertIn("ended with status 3 before it was ready", await self.failed(self.start("crash")))
        self.assertIn("was not ready within 0.3 s", await self.failed(self.start("wait", ready_timeout=0.3)))
        (self.folder / "server.py").write_text("import that_is_not_there")
        self.assertIn("ended with status 1", await self.failed(self.start()))
        await self.gone()
        self.assertIn("that_is_not_there", "\n".join(self.log))

    async def test_ignores_sigterm(self) -> None:
        """It is killed when its time is over."""
        server = await self.start("stay")
        before = time.monotonic()
        await server.end()
        self.assertLess(0.25, time.monotonic() - before)
        self.assertFalse(self.end.called)

    async def test_direct(self) -> None:
        """Clients connect to it themselves, at a port of the operator's choice."""
        server = await self.start(connect="direct")
        client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", server.port), Client())
        await client.hears(b'[{"seat":0,"id":"ada","name":"Ada"}]')
        client.say(b"exit 5")
        self.assertEqual((await self.end).reason, SERVER_CRASHED)
        self.assertEqual(server.port, self.direct_port)


class SilentTests(GameServersOf, TestCase):  # type: ignore[misc]
    """Where GameServers are asked often."""

    kind = "bubblewrap"
    ping_interval = 0.1

    async def test_silent(self) -> None:
        """Three PINGs without a PONG end it."""
        await self.start("keep silent")
        self.assertEqual((await self.end).reason, SERVER_SILENT)
        await self.gone()


class PlainTests(PlaysOf, TestCase):  # type: ignore[misc]
    """As `[sandbox] kind = "none"` does."""

    kind = "none"
