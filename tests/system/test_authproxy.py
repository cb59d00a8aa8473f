"""tap/authproxy.tac, with real GameServers behind it: who comes where, and that the pipe gives every byte, in bounded memory, on both reactors."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from gameroom.wire import game_port as wire
from gameroom.wire.envelope import Envelope, EnvelopeReader
from tests.system.harness import ENDS_WITHIN, LOOPBACK, PATIENCE, STARTS_WITHIN, free_port, twistd, wait_until

TAC = Path(__file__).parents[2] / "tap" / "authproxy.tac"
KEY = "a secret of the arena's"
MIB = 1 << 20
BULK = 64 * MIB
AT_MOST = 32 * MIB
"""By so much the proxy's memory may grow, whatever goes through it."""
PIECE = hashlib.shake_256(b"gameroom").digest(MIB - 1)
"""Sent again and again; its length is no round number, so that nothing that is lost or doubled goes unseen."""


def digest_of(total: int) -> str:
    found = hashlib.sha256()
    for _ in range(total // len(PIECE)):
        found.update(PIECE)
    found.update(PIECE[: total % len(PIECE)])
    return found.hexdigest()


def send_bulk(connection: socket.socket, total: int) -> None:
    for _ in range(total // len(PIECE)):
        connection.sendall(PIECE)
    connection.sendall(PIECE[: total % len(PIECE)])


def receive_bulk(connection: socket.socket, total: int, pause: float = 0.0) -> str:
    """The hash of so many bytes; a slow reader takes a `pause` of so many seconds in the middle."""
    found, left = hashlib.sha256(), total
    while left:
        data = connection.recv(min(left, MIB))
        if not data:
            return f"ended {left} bytes too early"
        found.update(data)
        if pause and left <= total // 2:
            time.sleep(pause)
            pause = 0.0
        left -= len(data)
    return found.hexdigest()


class Talker:
    """One end of a connection: envelopes first, then bytes."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._reader = EnvelopeReader()
        connection.settimeout(PATIENCE)

    def say(self, type_: int, **values: Any) -> None:
        self.connection.sendall(wire.encode(type_, values))

    def hear(self) -> tuple[int, dict[str, Any]]:
        """The next envelope's type and message."""
        while (envelope := self._reader.next()) is None:
            data = self.connection.recv(4096)
            assert data, "the connection has ended"
            self._reader.feed(data)
        return envelope.type, wire.decode(envelope)

    def bytes(self, size: int) -> bytes:
        data = self._reader.rest()
        while len(data) < size:
            more = self.connection.recv(size - len(data))
            assert more, f"the connection has ended after {data!r}"
            data += more
        return data

    def close(self) -> None:
        self.connection.close()


class GameServer:
    """A server of one's own: lets everybody in whom the proxy vouches for, says CONNECTED and GAME_CONFIG, and leaves the rest to the test."""

    def __init__(self) -> None:
        self._listening = socket.create_server((LOOPBACK, 0))
        self._listening.settimeout(PATIENCE)
        self.port: int = self._listening.getsockname()[1]

    def let_in(self, *, config: dict[str, Any]) -> tuple[Talker, dict[str, Any]]:
        """The next player, and what CLIENT_AUTH said of it."""
        peer = Talker(self._listening.accept()[0])
        assert peer.hear() == (wire.TYPE, {"type": "client"})
        type_, auth = peer.hear()
        assert (type_, auth["token"]) == (wire.CLIENT_AUTH, KEY)
        # In one piece, so that the pipe begins with bytes that are there already.
        peer.connection.sendall(wire.encode(wire.CONNECTED, {"details": {"map": "hills"}}) + wire.encode(wire.GAME_CONFIG, config))
        return peer, auth

    def close(self) -> None:
        self._listening.close()


@attrs.frozen
class Arena:
    """The application, running."""

    port: int
    tls_port: int
    red: GameServer
    process: subprocess.Popen[bytes]

    def ticket(self, server: str = "red", seat: int = 0, name: str = "Ada") -> str:
        """As the web site makes it."""
        text = f"{server}/{seat}/{name}"
        return f"{text}/{hmac.new(KEY.encode(), text.encode(), 'sha256').hexdigest()}"

    def connect(self) -> Talker:
        return Talker(socket.create_connection((LOOPBACK, self.port)))

    def connect_tls(self) -> Talker:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return Talker(context.wrap_socket(socket.create_connection((LOOPBACK, self.tls_port)), suppress_ragged_eofs=False))

    def join(self, connect: Callable[[], Talker] | None = None, early: bytes = b"") -> tuple[Talker, Talker]:
        """A client and its GameServer's end, joined."""
        client = (connect or self.connect)()
        client.connection.sendall(wire.encode(wire.AUTH, {"id": self.ticket()}) + early)
        server, _ = self.red.let_in(config={"speed": 3})
        assert client.hear()[0] == wire.CONNECTED
        assert client.hear() == (wire.GAME_CONFIG, {"speed": 3})
        return client, server

    def resident_bytes(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the proxy is gone")


def _certificate(folder: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, capture_output=True, check=True)


@pytest.fixture(scope="module", params=["gameroom", "epoll"])
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The application on each reactor, with a TLS port in front of the same proxy by way of a second endpoint."""
    folder = tmp_path_factory.mktemp("arena")
    _certificate(folder)
    port, tls_port, nobody, red = free_port(), free_port(), free_port(), GameServer()
    # The file as it is, and the same factory on a TLS port beside it.
    (folder / "arena.tac").write_text(
        TAC.read_text()
        + f"tls = serverFromString(reactor, 'ssl:{tls_port}:privateKey=key.pem:certKey=cert.pem:interface={LOOPBACK}')\n"
        + "StreamServerEndpointService(tls, proxy).setServiceParent(application)\n"
    )
    environment = {
        **os.environ,
        "ARENA_KEY": KEY,
        "ARENA_SERVERS": f"red=tcp:{LOOPBACK}:{red.port} blue=tcp:{LOOPBACK}:{nobody}",
        "ARENA_PORT": f"tcp:{port}:interface={LOOPBACK}",
    }
    command = [twistd(), f"--reactor={request.param}", "--nodaemon", "--pidfile=", "--python", "arena.tac"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or (_listens(port) and _listens(tls_port)), "the arena is open", STARTS_WITHIN)
        assert process.poll() is None, (folder / "log").read_text()
        yield Arena(port, tls_port, red, process)
        process.terminate()
        process.wait(ENDS_WITHIN)
        assert "Traceback" not in (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()
        red.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_client_comes_to_its_server(arena: Arena) -> None:
    """The server is told who comes by the proxy's word and never sees the ticket; the client hears of its seat; what it sent early is not lost."""
    client, ticket = arena.connect(), arena.ticket("red", 3, "Ada")
    command = [sys.executable, str(TAC), "red", "3", "Ada"]
    assert subprocess.run(command, env={**os.environ, "ARENA_KEY": KEY}, capture_output=True, text=True, check=True).stdout == ticket + "\n"
    client.connection.sendall(wire.encode(wire.AUTH, {"id": ticket}) + b"early")
    server, auth = arena.red.let_in(config={"speed": 3})
    assert auth == {"id": "Ada", "seat": 3, "name": "Ada", "token": KEY}
    type_, connected = client.hear()
    assert type_ == wire.CONNECTED
    assert (connected["seat"], connected["room_id"], connected["details"]) == (3, "red", {"map": "hills"})
    assert (connected["hosting"], connected["status"], connected["players"]) == ("server", "PLAYING", [{"seat": 3, "name": "Ada"}])
    assert client.hear() == (wire.GAME_CONFIG, {"speed": 3})
    assert server.bytes(5) == b"early"
    client.connection.sendall(Envelope(40, b"move", 0).to_bytes())
    assert server.bytes(8) == Envelope(40, b"move", 0).to_bytes()
    client.close()
    assert server.connection.recv(1) == b""
    server.close()


def test_who_has_no_ticket(arena: Arena) -> None:
    """A forged ticket is 101, the third closes; a match whose server is not there is 105, and the next AUTH on the same connection may work."""
    client = arena.connect()
    for _ in range(3):
        client.say(wire.AUTH, id="red/0/Mallory/" + "0" * 64)
        type_, error = client.hear()
        assert (type_, error["code"]) == (wire.ERROR, 101)
    assert client.connection.recv(1) == b""
    client.close()
    again = arena.connect()
    for server in ("blue", "green"):
        again.say(wire.AUTH, id=arena.ticket(server))
        type_, error = again.hear()
        assert (type_, error["code"]) == (wire.ERROR, 105)
    again.say(wire.AUTH, id=arena.ticket())
    server_end, _ = arena.red.let_in(config={})
    assert again.hear()[0] == wire.CONNECTED
    again.close()
    server_end.close()


def test_every_byte_both_ways(arena: Arena) -> None:
    """64 MiB each way at once, with readers that stop in the middle: byte for byte, and the proxy's memory stays where it was."""
    client, server = arena.join()
    base, most = arena.resident_bytes(), 0
    expected, found = digest_of(BULK), {}

    def send(connection: socket.socket) -> None:
        send_bulk(connection, BULK)
        connection.shutdown(socket.SHUT_WR)

    def receive(name: str, connection: socket.socket, pause: float) -> None:
        found[name] = receive_bulk(connection, BULK, pause)
        found[f"{name}, behind it"] = str(connection.recv(1))

    threads = [
        threading.Thread(target=send, args=(client.connection,)),
        threading.Thread(target=send, args=(server.connection,)),
        threading.Thread(target=receive, args=("client", client.connection, 0.7)),
        threading.Thread(target=receive, args=("server", server.connection, 0.4)),
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, arena.resident_bytes())
        time.sleep(0.02)
    assert found == {"client": expected, "server": expected, "client, behind it": "b''", "server, behind it": "b''"}
    assert most - base < AT_MOST
    client.close()
    server.close()


def test_what_is_not_read_is_not_taken(arena: Arena) -> None:
    """A client that never reads stops its GameServer from sending, and costs no memory; the others are as quick as ever."""
    client, server = arena.join()
    base = arena.resident_bytes()
    server.connection.settimeout(0.5)
    with pytest.raises(TimeoutError):
        send_bulk(server.connection, BULK)
    assert arena.resident_bytes() - base < AT_MOST
    other, others_server = arena.join()
    other.connection.sendall(b"quick")
    assert others_server.bytes(5) == b"quick"
    for talker in (client, server, other, others_server):
        talker.close()


@pytest.mark.parametrize("who", ["client", "server"])
def test_half_close(arena: Arena, who: str) -> None:
    """Who has said its last word still hears the other's, whichever it is."""
    client, server = arena.join()
    one, other = (client, server) if who == "client" else (server, client)
    one.connection.sendall(b"that is all")
    one.connection.shutdown(socket.SHUT_WR)
    assert other.bytes(11) == b"that is all"
    assert other.connection.recv(1) == b""
    other.connection.sendall(b"and this is mine")
    assert one.bytes(16) == b"and this is mine"
    other.close()
    assert one.connection.recv(1) == b""
    one.close()


def test_half_closed_before_the_pipe(arena: Arena) -> None:
    """A client that says AUTH and all it has to say in one go, as `nc` does, has the whole answer."""
    client = arena.connect()
    client.connection.sendall(wire.encode(wire.AUTH, {"id": arena.ticket()}) + b"question")
    client.connection.shutdown(socket.SHUT_WR)
    server, _ = arena.red.let_in(config={})
    assert server.bytes(8) == b"question"
    assert server.connection.recv(1) == b""
    server.connection.sendall(b"answer")
    server.close()
    assert [client.hear()[0] for _ in range(2)] == [wire.CONNECTED, wire.GAME_CONFIG]
    assert client.bytes(6) == b"answer"
    assert client.connection.recv(1) == b""
    client.close()


def test_last_words_of_a_server_that_was_not_heard_out(arena: Arena) -> None:
    """A GameServer that ends while its client is still sending: the client gets all that it was sent, however late it reads."""
    client, server = arena.join()
    client.connection.sendall(bytes(300_000))
    server.bytes(100_000)
    server.connection.sendall(PIECE)
    server.connection.shutdown(socket.SHUT_WR)
    server.bytes(200_000)
    server.close()
    time.sleep(0.2)
    client.connection.sendall(bytes(1000))
    assert receive_bulk(client.connection, len(PIECE)) == hashlib.sha256(PIECE).hexdigest()
    client.close()


def test_tls(arena: Arena) -> None:
    """A client that comes by TLS has the same pipe: both ways, byte for byte, and its end is its GameServer's."""
    client, server = arena.join(arena.connect_tls)
    total = 4 * MIB
    sender = threading.Thread(target=send_bulk, args=(client.connection, total))
    sender.start()
    assert receive_bulk(server.connection, total, 0.3) == digest_of(total)
    sender.join()
    sender = threading.Thread(target=send_bulk, args=(server.connection, total))
    sender.start()
    assert receive_bulk(client.connection, total, 0.3) == digest_of(total)
    sender.join()
    client.close()
    assert server.connection.recv(1) == b""
    server.close()
    client, server = arena.join(arena.connect_tls)
    server.connection.sendall(b"bye")
    server.close()
    assert client.bytes(3) == b"bye"
    assert client.connection.recv(1) == b""
    client.close()
