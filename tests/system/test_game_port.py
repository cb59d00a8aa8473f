"""The game port of a real daemon: native clients by plain sockets, beside web sockets and at a GameServer that really runs."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import struct
import subprocess
import time
from typing import Any

import attrs
import pytest

from tests.system.client import Client
from tests.system.harness import LOOPBACK, PATIENCE, Daemon, DaemonMaker
from tests.system.native import AUTH, CONNECTED, ERROR, GAME_CONFIG, HOST, JOIN, LEAVE, PING, PONG, RAW, ROOM, ROOM_PART, START, Native
from tests.system.network import Socket, Weather
from tests.system.scenario import ENCODINGS, lay_table, play_all, run
from tests.system.store import upload
from tests.system.test_browser_relay import packed
from tests.system.web import Seat, Web
from tests.system.websocket import BINARY, TEXT, Closed

SAY, SAID, MUCH, FINISH = 32, 33, 34, 35
"""What the GameServer below knows."""
MANIFEST = b"""[hosting]
kind = "server"
max_players = 4

[server]
command = ["python3", "server.py"]
"""
SERVER = b'''"""Says to everybody what anybody says, sends as much as is asked for, and finishes when it is told to."""
import json, socket, struct, threading

def say(to, type_, value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    to.sendall(struct.pack("!BBH", 1, type_ << 2 | (not isinstance(value, bytes)), len(body)) + body)

def heard(of):
    head = of.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        raise EOFError
    _, kind, length = struct.unpack("!BBH", head)
    return kind >> 2, of.recv(length, socket.MSG_WAITALL) if length else b""

players = {}

def play(player):
    heard(player)
    who = json.loads(heard(player)[1])
    seat = who["seat"]
    say(player, 5, {"details": {"came": list(players).count(seat)}})
    say(player, 6, {"you": who["name"]})
    players[seat] = player
    try:
        while True:
            type_, body = heard(player)
            if type_ == 32:
                for other in list(players.values()):
                    say(other, 33, {"from": seat, "said": body.decode()})
            elif type_ == 34:
                for number in range(int(body)):
                    say(player, 36, struct.pack("!I", number) * 10_000)
            elif type_ == 35:
                say(player, 33, {"from": seat, "said": "last words"})
                say(control, 13, {"state": "finished", "results": {"winner": seat}})
    except (EOFError, OSError):
        if players.get(seat) is player:
            del players[seat]

listening = socket.socket(fileno=3)
control = listening.accept()[0]
heard(control), heard(control)
say(control, 13, {"state": "ready"})

def pong():
    while True:
        type_, body = heard(control)
        if type_ == 10:
            say(control, 11, body)

threading.Thread(target=pong, daemon=True).start()
while True:
    threading.Thread(target=play, args=(listening.accept()[0],), daemon=True).start()
'''


def envelope(type_: int, value: Any, en: int = 1) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("!BBH", 1, type_ << 2 | en, len(body)) + body


@attrs.define
class EnvelopeSocket(Socket):
    """Room messages in envelopes, as a link carries them."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, opcode: int, payload: bytes) -> None:
        self.writer.write(envelope(ROOM, payload, RAW if opcode == BINARY else 1))

    async def receive(self) -> tuple[int, bytes]:
        whole = b""
        while True:
            type_, en, body = await self.envelope()
            assert type_ in (ROOM, ROOM_PART), (type_, body)
            whole += body
            if type_ == ROOM:
                return TEXT if en == 1 else BINARY, whole

    async def envelope(self) -> tuple[int, int, bytes]:
        try:
            _, kind, length = struct.unpack("!BBH", await self.reader.readexactly(4))
            return kind >> 2, kind & 3, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as ended:
            raise Closed(1006) from ended

    def abort(self) -> None:
        self.writer.transport.abort()

    def close(self, code: int = 1000) -> None:
        self.writer.close()


class NativeClient(Client):
    """A lock-step client that comes by the game port, until it is told to come `by_web`."""

    def __init__(self, seat: Seat, game_port: int, **client: Any) -> None:
        super().__init__(seat, **client)
        self._game_port = game_port
        self.by_web = False

    async def _connect(self) -> Socket:
        if self.by_web:
            return await super()._connect()
        found = EnvelopeSocket(*await asyncio.open_connection(LOOPBACK, self._game_port))
        found.writer.write(envelope(AUTH, {"id": self.seat.token}))
        type_, _, body = await found.envelope()
        assert type_ == CONNECTED, body
        return found

    def _first_words(self) -> list[str | bytes]:
        return super()._first_words() if self.by_web else []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lock_step_between_the_game_port_and_the_web_door(daemon: Daemon, encoding: str) -> None:
    """A native client and a web client play the same play, with bad weather and reconnections at both; one changes doors in the middle."""
    table = lay_table(daemon, encoding=encoding, input_delay=8, players=3)
    table.sit(finish_at=400, weather=Weather(latency=0.01, jitter=0.005))
    natives = []
    for _ in range(2):
        seat = table.web.join(table.room_id)
        natives.append(NativeClient(seat, daemon.game_port, binary=table.binary, finish_at=400, weather=Weather(latency=0.01, loss=0.002)))
    table.clients += natives
    web, native, mover = table.clients[0], *natives

    async def disturb() -> None:
        for generation in (60, 120):
            await native.reached(generation)
            await native.cut(politely=generation == 60)
        await web.reached(150)
        await web.cut()
        # From the game port to the web door: the same seat, by the same token.
        await mover.reached(200)
        mover.by_web = True
        await mover.cut()

    run(lambda: play_all(table.clients, disturb()), within=60)
    table.assert_agreed()
    assert web.player.next == 400
    assert (native.reconnections, mover.reconnections, web.reconnections) == (2, 1, 1)


def half_closed(port: int, data: bytes) -> bytes:
    """What comes until the end, to one who says this and no more."""
    with socket.create_connection((LOOPBACK, port), PATIENCE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answers = b""
        while piece := connection.recv(65536):
            answers += piece
    return answers


def types_in(data: bytes) -> list[int]:
    found = []
    while data:
        _, kind, length = struct.unpack_from("!BBH", data)
        found.append(kind >> 2)
        data = data[4 + length :]
    return found


def game_of(daemon: Daemon, name: str) -> str:
    [game_id] = [game["game_id"] for game in Web(daemon.web_port).ask("GET", "/games")["games"] if game["name"] == name]
    return str(game_id)


def test_short_conversations(make_daemon: DaemonMaker) -> None:
    """Who says no more, as `printf | nc`, gets all answers, also one that waits for the database; who says nothing hears why it is sent away."""
    daemon, hasty = make_daemon(), make_daemon(settings={"limits": {"unauthenticated_seconds": 1.0}})
    ready = {"type": "ready", "ready": True, "id": 5}
    said = envelope(PING, b"1") + envelope(HOST, {"game_id": game_of(daemon, "Connect Four")}) + envelope(ROOM, ready) + envelope(PING, b"2")
    answers = half_closed(daemon.game_port, said)
    types = types_in(answers)
    assert types[:3] == [PONG, CONNECTED, ROOM]
    assert (types.count(PONG), types.count(ERROR)) == (2, 0)
    assert b'"reply_to":5' in answers
    assert types_in(half_closed(daemon.game_port, envelope(AUTH, {"id": "x"}) * 2 + b"\x01")) == [ERROR, ERROR]
    # The last word is not lost to bytes that nobody reads any more.
    assert types_in(half_closed(daemon.game_port, b"\x02" + bytes(200_000))) == [ERROR]
    nc = shutil.which("nc")
    if nc is not None:
        asked = subprocess.run([nc, "-N", LOOPBACK, str(daemon.game_port)], input=said, capture_output=True, timeout=PATIENCE, check=False)
        assert types_in(asked.stdout)[:3] == [PONG, CONNECTED, ROOM]
    with Native(hasty.game_port) as native:
        assert native.next()[1]["code"] == 101
        _ended(native)


def test_a_play_at_a_game_server(daemon: Daemon) -> None:
    """From HOST to the end: early bytes, both ways, a takeover, one who comes back, one who reads slowly, results, and the room after it."""
    game_id = upload(daemon, packed({"game.toml": MANIFEST, "server.py": SERVER}), max_players=4)
    with Native(daemon.game_port) as ada, Native(daemon.game_port) as bob:
        ada.say(HOST, {"game_id": game_id, "name": "Ada"})
        hosted = ada.until(CONNECTED)
        assert (hosted["status"], hosted["hosting"]) == ("WAITING", "server")
        bob.say(JOIN, {"party_code": hosted["party_code"], "name": "Bob"})
        token = bob.until(CONNECTED)["seat_token"]
        # Said before there is a GameServer, and not lost.
        ada._socket.sendall(envelope(START, {}) + envelope(SAY, b"early"))
        for native, name in ((ada, "Ada"), (bob, "Bob")):
            connected = native.until_playing()
            assert [player["name"] for player in connected["players"]] == ["Ada", "Bob"]
            assert native.until(GAME_CONFIG) == {"you": name}
        assert ada.until(SAID) == {"from": 0, "said": "early"}
        bob.say(SAY, b"hello")
        assert ada.until(SAID) == {"from": 1, "said": "hello"}

        with Native(daemon.game_port) as again:
            again._socket.sendall(envelope(AUTH, {"id": token}) + envelope(SAY, b"here again"))
            assert again.next()[1]["status"] == "PLAYING"
            assert again.until(GAME_CONFIG) == {"you": "Bob"}
            assert ada.until(SAID) == {"from": 1, "said": "here again"}
            _ended(bob)
            _reads_slowly(daemon, again)
        with Native(daemon.game_port) as back:
            back.say(AUTH, {"id": token})
            assert back.until_playing()["seat"] == 1
            ada.say(FINISH, {})
            while ada.until(SAID)["said"] != "last words":
                pass
            _ended(ada)
            _ended(back)
        with Native(daemon.game_port) as after:
            after.say(AUTH, {"id": hosted["seat_token"]})
            assert after.until(CONNECTED)["status"] == "WAITING"
            messages = [after.room_message() for _ in range(2)]
            assert [message["type"] for message in messages] == ["welcome", "over"]
            assert (messages[1]["reason"], messages[1]["results"]) == ("finished", {"winner": 0})
            after.say(LEAVE, {})
            _ended(after)


def _ended(native: Native) -> None:
    """Reads to the end, in which there is no ERROR of ours."""
    try:
        while True:
            type_, value = native.next()
            assert type_ != ERROR, value
    except EOFError:
        return


def _reads_slowly(daemon: Daemon, native: Native) -> None:
    """40 MB for one who does not read them wait with the GameServer, and come whole."""
    before = daemon.resident_bytes()
    native.say(MUCH, b"1000")
    time.sleep(0.5)
    assert daemon.resident_bytes() - before < 8 << 20
    for number in range(1000):
        type_, body = native.next()
        while type_ == SAID:
            type_, body = native.next()
        assert body[:4] == struct.pack("!I", number)
