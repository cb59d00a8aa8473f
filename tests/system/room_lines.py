"""Room messages through each door that carries them, told alike: a socket, the game port, and lines at the lobby."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, Protocol

from tests.system import websocket
from tests.system.harness import LOOPBACK
from tests.system.native import AUTH, CONNECTED, ERROR, JSON, PING, PONG, ROOM, ROOM_PART
from tests.system.web import Seat
from tests.system.websocket import BINARY, TEXT, Closed, HandshakeRefused, WebSocket

LOST = (OSError, EOFError, Closed, HandshakeRefused)
"""What a line raises when its connection is not there, or no more."""
LINE_BYTES = 4 << 20

Heard = dict[str, Any] | bytes
"""A room message, or a binary one."""


class Line(Protocol):
    """One connection of a member, welcomed or about to be."""

    def say(self, message: dict[str, Any]) -> None: ...

    async def hear(self) -> Heard: ...

    def abort(self) -> None: ...


class SocketLine:
    """A room's WebSocket."""

    def __init__(self, link: WebSocket) -> None:
        self.link = link

    @classmethod
    async def open(cls, seat: Seat) -> SocketLine:
        line = cls(await websocket.connect(seat.port, seat.path))
        line.say({"type": "hello", "token": seat.token})
        return line

    def say(self, message: dict[str, Any]) -> None:
        self.link.send(TEXT, json.dumps(message).encode())

    def say_binary(self, data: bytes) -> None:
        self.link.send(BINARY, data)

    async def hear(self) -> Heard:
        opcode, data = await self.link.receive()
        return data if opcode == BINARY else dict(json.loads(data))

    def abort(self) -> None:
        self.link.abort()


class GamePortLine:
    """A native client's connection; comes in by a seat token."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, token: str) -> GamePortLine:
        line = cls(*await asyncio.open_connection(LOOPBACK, port))
        line._envelope(AUTH, {"id": token})
        type_, _, body = await line._next()
        if type_ == ERROR:
            line.abort()
            raise ConnectionError(body)
        assert type_ == CONNECTED, (type_, body)
        return line

    def say(self, message: dict[str, Any]) -> None:
        self._envelope(ROOM, message)

    async def hear(self) -> Heard:
        whole = b""
        while True:
            type_, en, body = await self._next()
            assert type_ in (ROOM, ROOM_PART), (type_, body)
            whole += body
            if type_ == ROOM:
                return dict(json.loads(whole)) if en == JSON else whole

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _next(self) -> tuple[int, int, bytes]:
        while True:
            _, kind, length = struct.unpack("!BBH", await self._reader.readexactly(4))
            body = await self._reader.readexactly(length)
            if kind >> 2 != PING:
                return kind >> 2, kind & 3, body
            self._writer.write(struct.pack("!BBH", 1, PONG << 2 | kind & 3, length) + body)

    def _envelope(self, type_: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self._writer.write(struct.pack("!BBH", 1, type_ << 2 | JSON, len(body)) + body)


class LobbyLine:
    """What a person types at telnet, and what is pushed there; has the session token of a seated account."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, room_id: str, token: str) -> None:
        self._reader, self._writer = reader, writer
        self._room_id, self._token = room_id, token

    @classmethod
    async def open(cls, port: int, room_id: str, token: str) -> LobbyLine:
        line = cls(*await asyncio.open_connection(LOOPBACK, port, limit=LINE_BYTES), room_id, token)
        line._ask("SUBSCRIBE", {"rooms": True})
        return line

    def say(self, message: dict[str, Any]) -> None:
        self._ask("ROOM_MESSAGE", {"room_id": self._room_id, "body": message})

    async def hear(self) -> Heard:
        while True:
            told = json.loads(await self._reader.readuntil(b"\n"))
            if "status" in told:
                # What the room says of it comes by pushes.
                assert told["status"] == "ok", told
            elif told["type"] == "ROOM_MESSAGE":
                return dict(told["payload"]["body"])

    def abort(self) -> None:
        self._writer.transport.abort()

    def _ask(self, kind: str, payload: dict[str, Any]) -> None:
        self._writer.write(json.dumps({"type": kind, "token": self._token, "payload": payload}).encode() + b"\n")
